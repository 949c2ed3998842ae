-- Groups of the directory: made, removed; their members, owners and roles of applications.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    struct_update(
        any_group,
        name := coalesce(any_group.name, case when any_group.uid is null then 'Unknown' end)
    ) as "group",
    case when coalesce(target_name, target_uid) is not null then target_user end as user,
    case
        when activity_id in (1, 2)
            then [coalesce(role_name, case when contains(event_words, 'owner') then 'Owner' else 'Unknown' end)]
    end as privileges,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("entra_directory_audit") }}
where class_uid = 3006
