-- Everything else that is done in Slack: settings, channels, apps, exports, workflows.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_detail,
    message,
    actor,
    api,
    src_endpoint,
    http_request,
    resources,
    metadata
from {{ ref("slack_audit") }}
where class_uid = 6003
