-- Accounts of the directory and mailboxes: made, changed, enabled, disabled, removed; passwords and factors.
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
from {{ ref("microsoft_365") }}
where class_uid = 3001
