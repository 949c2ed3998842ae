-- Users of 1Password: invited, suspended, deleted, recovered; their passwords and second factors.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    actor,
    src_endpoint,
    metadata
from {{ ref("onepassword") }}
where class_uid = 3001
