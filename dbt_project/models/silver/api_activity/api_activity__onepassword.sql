-- Items that are used, and everything else that is done in 1Password.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    actor,
    api,
    src_endpoint,
    resources,
    metadata
from {{ ref("onepassword") }}
where class_uid = 6003
