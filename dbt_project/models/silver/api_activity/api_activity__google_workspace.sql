-- Everything else in Google Workspace: settings, calendars, chats, meetings, devices, calls of applications.
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
    http_request,
    resources,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 6003
