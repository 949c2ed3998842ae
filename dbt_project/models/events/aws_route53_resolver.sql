-- The DNS queries that the mapping sees: routed to a class, each once, without filtered ones.
select
    event.*,
    coalesce(route.class_uid, 0) as routed_class_uid, -- an event type without a route is a Base Event
    route.activity_id,
    null::varchar as filter,
    case
        when repeated.number > 1 then 'duplicate'
        when filter is not null then 'filtered'
        else 'published'
    end as outcome,
    coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
    case when outcome = 'published' then routed_class_uid end as class_uid, -- mappings select by it
    {{ ocsf_metadata(
        "AWS", "Route 53", event_code="event_type", original_time="query_timestamp",
        feature_name="'Resolver Query Logs'", version="log_version") }} as metadata
from {{ ref("stg_aws__route53_resolver") }} as event
left join {{ routes("aws_route53_resolver", ref("stg_aws__route53_resolver")) }} as route using (event_type)
left join {{ repeated_keys("aws_route53_resolver", ref("stg_aws__route53_resolver")) }} as repeated
    using (_batch, _source_object, _source_row)
