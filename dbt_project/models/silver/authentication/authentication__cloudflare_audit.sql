-- Sign-ins to Cloudflare's dashboard and sign-outs.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    message,
    coalesce(actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    {'name': 'Cloudflare'} as service,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("cloudflare_audit") }}
where class_uid = 3002
