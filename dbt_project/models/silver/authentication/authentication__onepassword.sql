-- Attempts to sign in to 1Password.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    coalesce(actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    session,
    {'name': '1Password'} as service,
    case when by_factor then true end as is_mfa,
    actor,
    src_endpoint,
    metadata
from {{ ref("onepassword") }}
where class_uid = 3002
