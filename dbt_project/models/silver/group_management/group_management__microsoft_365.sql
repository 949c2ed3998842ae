-- Groups of the directory, Exchange and SharePoint, role groups and teams: made, removed; their members and owners.
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
    case when coalesce(target_name, target_uid) is not null and activity_id not in (5, 6) then target_user end as user,
    case
        when activity_id in (1, 2)
            then coalesce(
                nullif(list_filter(privileges, lambda each: each <> ''), []),
                case when contains(event_words, 'owner') then ['Owner'] else ['Unknown'] end
            )
    end as privileges,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 3006
