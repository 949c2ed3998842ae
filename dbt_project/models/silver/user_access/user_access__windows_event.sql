-- Rights and kinds of logon that an account was given or lost (Security 4704, 4705, 4717, 4718).
with events as (
    select
        *,
        coalesce(target_sid, target_user_sid) as user_uid,
        coalesce(target_user_name, case when user_uid is null then 'Unknown' end) as user_name,
        coalesce(
            privilege_list, {{ undeclared_value("AccessGranted") }}, {{ undeclared_value("AccessRemoved") }}
        ) as rights
    from {{ ref("windows_event") }}
    where class_uid = 3005
)

select
    activity_id,
    severity_id,
    status_id,
    message,
    actor,
    {{ windows_user("user_name", "user_uid", "target_domain_name") }} as user,
    -- one a line: SeDebugPrivilege\r\n\t\t\tSeTcbPrivilege
    coalesce(
        list_filter(regexp_split_to_array(rights, '[\s,]+'), lambda part: part <> ''),
        ['Unknown']
    ) as privileges,
    device,
    {{ observables([
        observable("user.uid", 31, "user_uid"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("device.hostname", 1, "computer_name"),
    ]) }} as observables,
    metadata,
    unmapped
from events
