-- Roles of users, and which vaults they are let into.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_code,
    status_detail,
    message,
    coalesce(target_user, {'name': 'Unknown', 'type_id': 0}) as user,
    [coalesce(aux_info, case when object_type = 'uva' then 'Vault access' else 'Unknown' end)] as privileges,
    resources,
    actor,
    src_endpoint,
    metadata
from {{ ref("onepassword") }}
where class_uid = 3005
