-- The VPC flows that mappings see: routed to a class, each once, without filtered ones.
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
        "AWS", "Amazon VPC", event_code="nullif(event_type, 'Unknown')", feature_name="'Flowlogs'",
        version="format_version"
    ) }} as metadata
from {{ ref("stg_aws__vpc_flow") }} as event
left join {{ routes("aws_vpc_flow", ref("stg_aws__vpc_flow")) }} as route using (event_type)
left join {{ repeated_keys("aws_vpc_flow", ref("stg_aws__vpc_flow")) }} as repeated
    using (_batch, _source_object, _source_row)
