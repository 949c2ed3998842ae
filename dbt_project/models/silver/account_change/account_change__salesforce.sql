-- Users of Salesforce, by the audit trail of Setup: made, frozen, deactivated; passwords.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    coalesce(target_user, {'name': 'Unknown', 'type_id': 0}) as user,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("salesforce") }}
where class_uid = 3001
