-- Sign-ins to Google Workspace, to applications by SAML and to ChromeOS devices; their challenges; sign-outs.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    -- ChromeOS names the user of the device
    case
        when application = 'chrome' then coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0})
        else coalesce(actor_user, target_user, {'name': 'Unknown', 'type_id': 0})
    end as user,
    {
        'name': coalesce(case when application = 'saml' then params ->> 'application_name' end, 'Google Workspace')
    } as service,
    case
        when application = 'saml' or (params ->> 'login_type') = 'saml' then 5
    end as auth_protocol_id,
    factors as auth_factors,
    try_cast(params ->> 'is_second_factor' as boolean) as is_mfa,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 3002
