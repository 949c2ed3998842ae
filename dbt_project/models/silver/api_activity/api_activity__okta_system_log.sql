-- Changes of the org by administrators and jobs, and what its API refused. What is done follows from the verb that begins
-- the last part of the event type (seed okta_verbs), unless the route says it.
select
    coalesce(event.activity_id, verb.activity_id, 99) as activity_id,
    case when coalesce(event.activity_id, verb.activity_id, 99) = 99 then event_type end as activity_name,
    {{ okta_status() }},
    {{ okta_actor(required=true) }} as actor,
    {
      'operation': event_type,
      'service': {'name': 'Okta'},
      'request': {'uid': debug_data ->> 'requestId'}
    } as api,
    {{ okta_src_endpoint(required=true) }} as src_endpoint,
    {'svc_name': 'Okta'} as dst_endpoint,
    {{ okta_resources("targets") }} as resources,
    {{ okta_policy() }} as policy,
    {{ okta_http_request() }} as http_request,
    {{ okta_observables() }} as observables,
    {{ okta_event(others="resources") }}
from {{ ref("okta_system_log") }} as event
left join {{ ref("okta_verbs") }} as verb on verb.verb = regexp_extract(event.event_type, '([a-z]+)[^.]*$', 1)
where class_uid = 6003
