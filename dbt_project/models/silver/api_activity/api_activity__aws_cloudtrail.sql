-- Calls of AWS APIs. What a call does follows from the verb of its operation (seed aws_api_verbs), unless the route
-- says it; for a verb that is not listed, CloudTrail's own readOnly tells a read.
with activity as (
    select
        event.* exclude (activity_id, activity_name),
        list_filter(aws_resources, lambda resource: coalesce(resource.ARN, resource.ARNPrefix) is not null)
            as named_resources,
        coalesce(event.activity_id, verb.activity_id, case when read_only then 2 else 99 end) as activity_id
    from {{ ref("aws_cloudtrail") }} as event
    left join {{ ref("aws_api_verbs") }} as verb
        on verb.verb = regexp_extract(event.event_name, '^(?:Batch|Admin)?([A-Z][a-z]*)', 1)
    where class_uid = 6003
)

select
    activity_id,
    case when activity_id = 99 then event_name end as activity_name,
    status_id,
    status_code,
    status_detail,
    src_endpoint,
    {'svc_name': event_source, 'hostname': tls_host} as dst_endpoint,
    http_request,
    list_transform(named_resources, lambda resource: {
        'uid': coalesce(resource.ARN, resource.ARNPrefix),
        'type': resource.type,
        'owner': {'account': {'uid': resource.accountId}}
    }) as resources,
    observables || list_transform(
        coalesce(named_resources, []),
        lambda resource: {{ observable("resources[].uid", 10, "coalesce(resource.ARN, resource.ARNPrefix)") }}
    ) as observables,
    cloud,
    actor,
    api,
    metadata
from activity
