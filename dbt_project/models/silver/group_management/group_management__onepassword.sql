-- Groups of 1Password: their members, and which vaults they are let into.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    "group",
    target_user as user,
    case when activity_id in (1, 2) then [coalesce(aux_info, 'Vault access')] end as privileges,
    case when object_type = 'gva' then {'uid': object_uuid, 'name': object_name, 'type': 'vault'} end as resource,
    actor,
    src_endpoint,
    metadata
from {{ ref("onepassword") }}
where class_uid = 3006
