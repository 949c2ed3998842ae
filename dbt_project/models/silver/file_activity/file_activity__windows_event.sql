-- Files that were created, changed, read or deleted (Sysmon 2, 11, 15, 23, 26; Security 4663 on files, 5145).
with events as (
    select
        *,
        case event_type
            when 'security:5145' then concat_ws('\', share_name, relative_target_name)
            when 'security:4663:file' then object_name
            else target_filename
        end as path,
        {{ windows_file_name("path") }} as file_name,
        coalesce(share_name like '%\IPC$', false) as is_pipe,
        try_cast(access_mask as bigint) as mask
    from {{ ref("windows_event") }}
    where class_uid = 1001
)

select
    -- What was tried on an audited file follows from the access mask (Microsoft, file access rights).
    coalesce(activity_id, case
        when mask & 65536 <> 0 then 4
        when mask & 786432 <> 0 then 7
        when mask & 6 <> 0 then 3
        when mask & 272 <> 0 then 6
        when mask & 1 <> 0 then 2
        when mask & 128 <> 0 then 8
        when mask & 131072 <> 0 then 9
        else 0
    end) as activity_id,
    severity_id,
    status_id,
    message,
    actor,
    device,
    {
        'name': coalesce(file_name, path, 'Unknown'),
        'path': path,
        'parent_folder': nullif(regexp_extract(path, '^(.*)\\[^\\]*$', 1), ''),
        'ext': nullif(regexp_extract(split_part(file_name, ':', 1), '[.]([^.]+)$', 1), ''),
        'type_id': case when is_pipe then 6 else 1 end,
        'type': case when is_pipe then 'Named Pipe' else 'Regular File' end,
        'hashes': {{ windows_hashes("coalesce(hashes, hash)") }},
        'created_time': epoch_ms(try_cast(coalesce(previous_creation_utc_time, creation_utc_time) as timestamp))
    } as file,
    case when event_type = 'sysmon:2' then {
        'name': file_name,
        'type_id': 1,
        'type': 'Regular File',
        'created_time': epoch_ms(try_cast(creation_utc_time as timestamp))
    } end as file_result,
    mask as access_mask,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("file.path", 45, "path"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, process_name)")),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("unmapped.IpAddress", 2, ip_or_null("ip_address")),
        observable("file.hashes", 8, "regexp_extract(hashes, 'SHA256=([0-9A-Fa-f]+)', 1)"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'IsExecutable': is_executable,
        'Archived': archived,
        'Contents': contents,
        'ObjectServer': object_server,
        'HandleId': handle_id,
        'AccessList': access_list,
        'AccessReason': access_reason,
        'ShareName': share_name,
        'ShareLocalPath': share_local_path,
        'IpAddress': ip_address,
        'IpPort': ip_port
    })) as unmapped
from events
