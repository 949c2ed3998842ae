-- User groups, channels and workspaces of Slack: who joins and leaves them.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_detail,
    message,
    "group",
    -- who joins is the actor
    coalesce(target_user, case when regexp_matches(event_type, '_(join|leave)$|_joined_') then actor_user end) as user,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("slack_audit") }}
where class_uid = 3006
