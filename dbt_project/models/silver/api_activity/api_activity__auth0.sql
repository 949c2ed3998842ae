-- Calls of the Management API, and everything else that a tenant does.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    actor,
    api,
    src_endpoint,
    http_request,
    resources,
    metadata
from {{ ref("auth0") }}
where class_uid = 6003
