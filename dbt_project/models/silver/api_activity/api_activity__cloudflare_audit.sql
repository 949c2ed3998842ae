-- Everything else that is changed in a Cloudflare account: zones, rules, tokens, settings.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    message,
    actor,
    api,
    src_endpoint,
    http_request,
    resources,
    metadata
from {{ ref("cloudflare_audit") }}
where class_uid = 6003
