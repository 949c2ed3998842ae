-- Roles, roles of applications and permissions, given to and taken from users and service principals.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    target_user as user,
    coalesce(
        nullif(list_filter(privileges, lambda each: each <> ''), []),
        case when contains(event_type, 'elevated') then ['User Access Administrator'] end,
        ['Unknown']
    ) as privileges,
    resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("entra_directory_audit") }}
where class_uid = 3005
