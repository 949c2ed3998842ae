-- Users of the directory: made, changed, enabled, disabled, removed; their passwords and factors.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    target_user as user,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("entra_directory_audit") }}
where class_uid = 3001
