-- The S3 requests that mappings see: routed to a class, each once, without filtered ones.
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
        "AWS", "Amazon S3", event_code="nullif(event_type, 'Unknown')", original_time="request_time",
        feature_name="'Server Access Logs'") }} as metadata
from {{ ref("stg_aws__s3_access") }} as event
left join {{ routes("aws_s3_access", ref("stg_aws__s3_access")) }} as route using (event_type)
left join {{ repeated_keys("aws_s3_access", ref("stg_aws__s3_access")) }} as repeated
    using (_batch, _source_object, _source_row)
