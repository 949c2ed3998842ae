-- Everything else that is done in Microsoft 365: cmdlets, mailbox items, Teams, Power Platform, compliance.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    api,
    resources,
    device,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 6003
