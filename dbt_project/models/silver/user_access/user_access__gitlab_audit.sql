-- Members of GitLab's groups and projects and their roles.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    message,
    coalesce(target_user, {'name': 'Unknown', 'type_id': 0}) as user,
    [coalesce(access_level, 'Unknown')] as privileges,
    resources,
    actor,
    src_endpoint,
    metadata
from {{ ref("gitlab_audit") }}
where class_uid = 3005
