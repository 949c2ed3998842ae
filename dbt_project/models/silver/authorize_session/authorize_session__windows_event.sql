-- Logon sessions that were given special privileges (Security 4672).
select
    activity_id,
    severity_id,
    status_id,
    {{ windows_user("coalesce(subject_user_name, 'Unknown')", "subject_user_sid", "subject_domain_name") }} as user,
    coalesce({{ windows_list("privilege_list") }}, ['Unknown']) as privileges,
    {'uid': subject_logon_id} as session,
    {'hostname': computer_name} as dst_endpoint,
    {{ observables([
        observable("user.name", 4, "subject_user_name"),
        observable("dst_endpoint.hostname", 1, "computer_name"),
    ]) }} as observables,
    {{ windows_unmapped({}) }} as unmapped,
    {{ windows_event() }}
from {{ ref("windows_event") }}
where class_uid = 3003
