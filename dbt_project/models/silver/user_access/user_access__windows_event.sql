-- Rights and kinds of logon that an account was given or lost (Security 4704, 4705, 4717, 4718).
with events as (
    select *,
        coalesce(target_sid, target_user_sid) as account,
        coalesce(privilege_list, {{ undeclared_value("AccessGranted") }}, {{ undeclared_value("AccessRemoved") }}) as rights
    from {{ ref("windows_event") }}
    where class_uid = 3005
)

select
    activity_id,
    severity_id,
    status_id,
    {{ security_actor() }} as actor,
    {{ windows_user("coalesce(target_user_name, case when account is null then 'Unknown' end)", "account", "target_domain_name") }} as user,
    coalesce({{ windows_list("rights") }}, ['Unknown']) as privileges,
    {{ observables([
        observable("user.uid", 31, "account"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("device.hostname", 1, "computer_name"),
    ]) }} as observables,
    {{ windows_unmapped({}) }} as unmapped,
    {{ windows_event() }}
from events
