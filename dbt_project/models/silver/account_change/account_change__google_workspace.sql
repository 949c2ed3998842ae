-- Accounts of Google Workspace: made, suspended, deleted; passwords, second factors, recovery.
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
    http_request,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 3001
