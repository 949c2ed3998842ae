-- Groups of Google Workspace: made, deleted; their members and settings.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    "group",
    coalesce(
        target_user, case when regexp_matches(event_name, '^(join|leave|accept_invitation)$') then actor_user end
    ) as user,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 3006
