-- Applications, service principals, devices, policies, domains and the tenant itself.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    struct_update(entity, name := coalesce(entity.name, case when entity.uid is null then 'Unknown' end)) as entity,
    actor,
    src_endpoint,
    metadata
from {{ ref("entra_directory_audit") }}
where class_uid = 3004
