-- What Okta itself finds suspicious (ThreatInsight, breached credentials, reuse of tokens, risk of users), and what
-- users report. The finding has the key of its event; the user it is about is the target, else the actor.
with events as (
    select
        *,
        coalesce(target_user, actor_party) as subject,
        list_filter(targets, lambda target: target is distinct from subject) as others,
        debug_data ->> 'suspiciousActivityEventId' as reported_event,
        {{ ip_or_null("debug_data ->> 'suspiciousActivityEventIp'") }} as reported_ip
    from {{ ref("okta_system_log") }}
    where class_uid = 2004
)

select
    activity_id,
    severity_id,
    severity,
    1 as status_id,
    status_code,
    status_detail,
    message,
    action_id,
    disposition_id,
    risk_level_id,
    true as is_alert,
    {
        'uid': metadata.uid,
        'title': coalesce(message, event_type),
        'desc': status_detail,
        'types': [event_type],
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Okta System Log', 'vendor_name': 'Okta'},
        'related_events': case
            when reported_event is not null
                then [{'uid': reported_event, 'type': debug_data ->> 'suspiciousActivityEventType'}]
        end
    } as finding_info,
    list_filter(
        [
            {
                'user': {
                    'name': coalesce(subject.login, nullif(subject.displayName, 'unknown')),
                    'uid': subject.user.uid
                },
                'src_endpoint': {'ip': client_ip},
                'http_request': {'user_agent': user_agent}
            },
            {'user': null, 'src_endpoint': {'ip': reported_ip}, 'http_request': null}
        ],
        lambda evidence: coalesce(
            evidence.user.name, evidence.user.uid, evidence.src_endpoint.ip, evidence.http_request.user_agent
        ) is not null
    ) as evidences,
    list_transform(others, lambda target: target.resource) as resources,
    actor,
    device,
    policy,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("evidences[].src_endpoint.ip", 2, "client_ip"),
        observable("evidences[].user.name", 4, "subject.login"),
        observable("evidences[].src_endpoint.ip", 2, "reported_ip"),
    ]) }} as observables,
    {{ okta_unmapped("list_filter([subject], lambda target: target.has_details)", also="unmapped_client") }} as unmapped
from events
