-- Sign-ins to Salesforce, sign-outs, administrators who sign in as users.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    coalesce(event_user, {'name': 'Unknown', 'type_id': 0}) as user,
    session,
    {'name': coalesce(app_name, 'Salesforce')} as service,
    auth_protocol_id,
    case when event_kind = 'LoginAs' then 2 end as account_switch_type_id,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("salesforce") }}
where class_uid = 3002
