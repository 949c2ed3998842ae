-- Teams and members of organisations; which repositories a team is let into.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    "group",
    target_user as user,
    case when activity_id in (1, 2) then coalesce(privileges, ['Repository access']) end as privileges,
    case
        when repo_name is not null then {'uid': repo_id, 'name': repo_name, 'type': 'repository'}
    end as resource,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("github_audit") }}
where class_uid = 3006
