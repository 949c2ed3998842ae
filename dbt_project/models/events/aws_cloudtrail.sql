-- The CloudTrail records that mappings see: routed to a class, each event once, without filtered ones.
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
        "AWS", "CloudTrail", event_code="record_type", original_time="event_time",
        correlation_uid="shared_event_id", feature_name="event_category", version="event_version") }} as metadata
from {{ ref("stg_aws__cloudtrail") }} as event
left join {{ routes("aws_cloudtrail", ref("stg_aws__cloudtrail")) }} as route using (event_type)
left join {{ repeated_keys("aws_cloudtrail", ref("stg_aws__cloudtrail")) }} as repeated
    using (_batch, _source_object, _source_row)
