-- Sign-ins to GitHub and sign-outs, by password or by SAML single sign-on.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    {'name': 'GitHub'} as service,
    case when contains(event_type, 'sso') then 5 end as auth_protocol_id,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("github_audit") }}
where class_uid = 3002
