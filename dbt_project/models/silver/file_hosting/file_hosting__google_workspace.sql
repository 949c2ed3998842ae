-- Documents of Google Drive: made, opened, changed, downloaded, shared.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    file,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 6006
