-- Users and administrators of Duo: made, locked, deleted; their devices and factors.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    case when activity_id in (10, 11) then auth_factors end as auth_factors,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("duo") }}
where class_uid = 3001
