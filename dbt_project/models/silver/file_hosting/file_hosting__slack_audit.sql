-- Files and canvases of Slack: uploaded, opened, downloaded, shared.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_detail,
    message,
    case when event_type = 'file_downloaded_blocked' then 2 end as action_id,
    case when event_type = 'file_downloaded_blocked' then 2 end as disposition_id,
    file,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("slack_audit") }}
where class_uid = 6006
