-- CloudTrail records without operation or service, and what an analyst routes here: published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    {{ cloudtrail_event() }}
from {{ ref("int_aws__cloudtrail") }}
where class_uid = 0
