-- Groups of Duo: made, changed, deleted.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    {'uid': object_id, 'name': coalesce(object_name, case when object_id is null then 'Unknown' end)} as "group",
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("duo") }}
where class_uid = 3006
