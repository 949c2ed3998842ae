-- Everything else that administrators of Duo do: applications, policies, settings.
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
from {{ ref("duo") }}
where class_uid = 6003
