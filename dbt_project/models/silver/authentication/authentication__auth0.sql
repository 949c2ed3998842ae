-- Sign-ins with Auth0, their second factors, exchanges for tokens, sign-outs.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    user,
    session,
    {'name': coalesce(app_name, 'Auth0'), 'uid': app_id} as service,
    auth_protocol_id,
    list_filter(factors, lambda factor: factor.factor_type_id is not null) as auth_factors,
    case when event_type like 'gd_%' or event_type = 'mfar' then true end as is_mfa,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("auth0") }}
where class_uid = 3002
