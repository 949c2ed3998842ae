-- Sign-ins to Microsoft 365, also to mailboxes and Teams. The service is the workload.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    actor_user as user,
    session,
    {'name': coalesce(workload, 'Microsoft 365'), 'uid': case when family = 'sign_in' then object_id end} as service,
    device,
    case
        when request_type like 'OAuth2:%' then 6
        when request_type like 'Saml2:%' then 5
    end as auth_protocol_id,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 3002
