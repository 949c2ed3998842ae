-- Everything else in Salesforce: calls of APIs, reports, exports, pages, settings.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    actor,
    api,
    src_endpoint,
    http_request,
    resources,
    metadata
from {{ ref("salesforce") }}
where class_uid = 6003
