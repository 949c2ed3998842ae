-- Sign-ins to GitLab and sign-outs.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    message,
    coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    {'name': 'GitLab'} as service,
    auth_factors,
    actor,
    src_endpoint,
    metadata
from {{ ref("gitlab_audit") }}
where class_uid = 3002
