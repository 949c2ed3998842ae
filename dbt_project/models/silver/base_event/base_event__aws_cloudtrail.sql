-- CloudTrail records without operation or service, and what an analyst routes here: published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    status_id,
    status_code,
    status_detail,
    cloud,
    actor,
    api,
    metadata
from {{ ref("aws_cloudtrail") }}
where class_uid = 0
