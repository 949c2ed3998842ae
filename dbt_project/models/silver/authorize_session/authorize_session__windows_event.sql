-- Logon sessions that were given special privileges (Security 4672).
select
    activity_id,
    severity_id,
    status_id,
    message,
    {{ windows_user("coalesce(subject_user_name, 'Unknown')", "subject_user_sid", "subject_domain_name") }} as user,
    -- one a line: SeDebugPrivilege\r\n\t\t\tSeTcbPrivilege
    coalesce(
        list_filter(regexp_split_to_array(privilege_list, '[\s,]+'), lambda part: part <> ''),
        ['Unknown']
    ) as privileges,
    {'uid': subject_logon_id} as session,
    {'hostname': computer_name} as dst_endpoint,
    device,
    {{ observables([
        observable("user.name", 4, "subject_user_name"),
        observable("dst_endpoint.hostname", 1, "computer_name"),
    ]) }} as observables,
    metadata,
    unmapped
from {{ ref("windows_event") }}
where class_uid = 3003
