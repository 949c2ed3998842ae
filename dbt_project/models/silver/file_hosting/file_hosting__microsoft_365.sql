-- Files and folders of SharePoint and OneDrive: uploaded, opened, changed, removed, shared.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    file,
    file_result,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 6006
