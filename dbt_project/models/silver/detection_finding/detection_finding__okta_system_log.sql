-- What Okta itself finds suspicious (ThreatInsight, breached credentials, reuse of tokens, risk of users), and what users
-- report. The finding has the key of its event; the user it is about is the target, else the actor.
with events as (
    select *, coalesce(target_user, actor) as subject, debug_data ->> 'suspiciousActivityEventId' as reported_event
    from {{ ref("okta_system_log") }}
    where class_uid = 2004
)

select
    activity_id,
    1 as status_id,
    true as is_alert,
    {
      'uid': metadata.uid,
      'title': coalesce(display_message, event_type),
      'desc': outcome_reason,
      'types': [event_type],
      'created_time': epoch_ms(_event_at),
      'product': {'name': 'Okta System Log', 'vendor_name': 'Okta'},
      'related_events': case when reported_event is not null then [{'uid': reported_event, 'type': debug_data ->> 'suspiciousActivityEventType'}] end
    } as finding_info,
    list_filter([
      {'user': {'name': coalesce({{ okta_login("subject") }}, nullif(subject.displayName, 'unknown')), 'uid': nullif(subject.id, 'unknown')},
       'src_endpoint': {'ip': client_ip}},
      {'user': null, 'src_endpoint': {'ip': {{ ip_or_null("debug_data ->> 'suspiciousActivityEventIp'") }}}}
    ], lambda evidence: coalesce(evidence.user.name, evidence.user.uid, evidence.src_endpoint.ip) is not null) as evidences,
    {{ okta_resources("nullif(list_filter(targets, lambda entity: entity is distinct from subject), [])") }} as resources,
    {{ okta_actor() }} as actor,
    {{ okta_policy() }} as policy,
    {{ okta_observables([
        observable("evidences[].user.name", 4, okta_login("subject")),
        observable("evidences[].src_endpoint.ip", 2, ip_or_null("debug_data ->> 'suspiciousActivityEventIp'")),
    ], ip_attribute="evidences[].src_endpoint.ip") }} as observables,
    {{ okta_event(taken=["subject"], others="resources", further=okta_client_fields()) }}
from events
