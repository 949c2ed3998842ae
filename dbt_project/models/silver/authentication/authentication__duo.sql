-- Second factors of Duo, sign-ins of administrators, passcodes and calls that are sent.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    action_id,
    coalesce(actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    {'name': coalesce(application_name, 'Duo'), 'uid': application_id} as service,
    auth_factors,
    case when log_kind in ('auth', 'telephony') then true end as is_mfa,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("duo") }}
where class_uid = 3002
