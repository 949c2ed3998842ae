-- Roles and licences of users, and scopes that users give to applications.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    coalesce(
        case when application <> 'token' then target_user end, actor_user, {'name': 'Unknown', 'type_id': 0}
    ) as user,
    privileges,
    resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 3005
