-- Everything else that is changed or read in the directory.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    api,
    resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("entra_directory_audit") }}
where class_uid = 6003
