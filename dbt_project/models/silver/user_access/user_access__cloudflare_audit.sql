-- Members of Cloudflare accounts and their roles.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    message,
    coalesce(target_user, {'name': 'Unknown', 'type_id': 0}) as user,
    ['Account member'] as privileges,
    resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("cloudflare_audit") }}
where class_uid = 3005
