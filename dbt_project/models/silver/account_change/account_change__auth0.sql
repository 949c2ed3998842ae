-- Accounts of Auth0: sign-ups, passwords, second factors, addresses, deletions.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    user,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("auth0") }}
where class_uid = 3001
