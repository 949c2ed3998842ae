-- Files, pipes and volumes that were created, changed, read, deleted or blocked (Sysmon 2, 9, 11, 15, 17, 18, 23,
-- 26-29; Security 4656, 4663 and 4670 on files, 4664).
with events as (
    select
        *,
        case
            when event_type in ('sysmon:17', 'sysmon:18') then {{ undeclared_value("PipeName") }}
            when event_type = 'sysmon:9' then {{ undeclared_value("Device") }}
            when event_type = 'security:4664' then {{ undeclared_value("LinkName") }}
            when event_type like 'security:%' then object_name
            else target_filename
        end as path,
        {{ windows_file_name("path") }} as file_name,
        case
            when event_type in ('sysmon:17', 'sysmon:18') then 6 -- Named Pipe
            when event_type = 'sysmon:9' then 4 -- Block Device
            -- Sysmon 29 only sees executables; 23, 26, 27 and 28 say what it was
            when event_type = 'sysmon:29' or lower(is_executable) = 'true' then 8
            when event_type = 'sysmon:27' and is_executable is null then 8
            else 1
        end as type_id,
        event_type in ('sysmon:27', 'sysmon:28') as is_blocked,
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
    case when is_blocked then 2 else status_id end as status_id,
    case when is_blocked then 2 end as action_id, -- Denied
    case when is_blocked then 2 end as disposition_id, -- Blocked
    message,
    actor,
    device,
    {
        'name': coalesce(file_name, path, 'Unknown'),
        'path': path,
        'parent_folder': nullif(regexp_extract(path, '^(.*)\\[^\\]*$', 1), ''),
        'ext': nullif(regexp_extract(split_part(file_name, ':', 1), '[.]([^.]+)$', 1), ''),
        'type_id': type_id,
        'type': {{ ocsf_caption("file_activity", "file.type_id", "type_id") }},
        'hashes': {{ windows_hashes("coalesce(hashes, hash)") }},
        'created_time': epoch_ms(try_cast(coalesce(previous_creation_utc_time, creation_utc_time) as timestamp))
    } as file,
    case
        when event_type = 'security:4664' then {
            'name': {{ windows_file_name(undeclared_value("FileName")) }},
            'type_id': 1,
            'type': 'Regular File',
            'created_time': null::bigint
        }
        when event_type = 'sysmon:2' then {
            'name': file_name,
            'type_id': 1,
            'type': 'Regular File',
            'created_time': epoch_ms(try_cast(creation_utc_time as timestamp))
        }
    end as file_result,
    mask as access_mask,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("file.path", 45, "path"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, process_name)")),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("file.hashes", 8, "regexp_extract(hashes, 'SHA256=([0-9A-Fa-f]+)', 1)"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'Archived': archived,
        'Contents': contents,
        'ObjectServer': object_server,
        'HandleId': handle_id,
        'AccessList': access_list,
        'AccessReason': access_reason
    })) as unmapped
from events
