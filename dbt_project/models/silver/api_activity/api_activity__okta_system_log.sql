-- Changes of the org by administrators and jobs, and what its API refused. What is done follows from the verb that
-- begins the last part of the event type (seed okta_verbs), unless the route says it.
with events as (
    select
        event.* exclude (activity_id, activity_name),
        coalesce(event.activity_id, verb.activity_id, 99) as activity_id
    from {{ ref("okta_system_log") }} as event
    left join {{ ref("okta_verbs") }} as verb on verb.verb = regexp_extract(event.event_type, '([a-z]+)[^.]*$', 1)
    where class_uid = 6003
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    severity_id,
    severity,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    action_id,
    disposition_id,
    risk_level_id,
    {
        'user': coalesce(actor_party.user, {'name': 'Unknown', 'type_id': 0, 'type': 'Unknown'}),
        'session': session,
        'app_uid': client_id
    } as actor,
    {
        'operation': event_type,
        'service': {'name': 'Okta'},
        'request': {'uid': debug_data ->> 'requestId'}
    } as api,
    coalesce(src_endpoint, {'name': 'Unknown'}) as src_endpoint,
    {'svc_name': 'Okta'} as dst_endpoint,
    http_request,
    device,
    resources,
    policy,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("src_endpoint.ip", 2, "client_ip"),
    ]) }} as observables,
    unmapped
from events
