-- The Falcon events that mappings see: routed to a class, each event once.
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
        "CrowdStrike", "Falcon", event_code="event_name", log_name="'Falcon Data Replicator'",
        original_time="original_time", tenant_uid="cid", correlation_uid="tree_id", version="sensor_build") }} as metadata
from {{ ref("stg_crowdstrike__fdr") }} as event
left join {{ routes("crowdstrike_fdr", ref("stg_crowdstrike__fdr")) }} as route using (event_type)
left join {{ repeated_keys("crowdstrike_fdr", ref("stg_crowdstrike__fdr")) }} as repeated
    using (_batch, _source_object, _source_row)
