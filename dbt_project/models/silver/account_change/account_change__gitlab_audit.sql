-- Users of GitLab: made, blocked, removed; their passwords and second factors.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    message,
    coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    actor,
    src_endpoint,
    metadata
from {{ ref("gitlab_audit") }}
where class_uid = 3001
