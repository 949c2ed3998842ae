-- Sign-ins to Microsoft Entra ID of users, service principals and managed identities. The service is the resource.
select
    activity_id,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    action_id,
    risk_level_id,
    user,
    actor,
    session,
    service,
    src_endpoint,
    http_request,
    device,
    policy,
    auth_factors,
    is_mfa,
    auth_protocol_id,
    auth_protocol,
    logon_type_id,
    logon_type,
    metadata
from {{ ref("entra_sign_in") }}
where class_uid = 3002
