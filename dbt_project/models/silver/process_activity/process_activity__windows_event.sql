-- Processes that start, end, are allowed or kept from it, or act on another (Security 4688, 4689, 4696; Sysmon 1, 5, 8,
-- 10, 25; AppLocker 8002-8004, 8020-8022).
with read as (
    select
        *,
        coalesce(event_type like 'applocker:%', false) as is_applocker,
        case when is_applocker then {{ undeclared_fields([
            "FilePath", "FullFilePath", "FileHash", "TargetUser", "TargetProcessId", "TargetLogonId", "Package",
        ]) }} end as fields
    from {{ ref("windows_event") }}
    where class_uid = 1007
),

events as (
    select
        *,
        event_type in ('sysmon:1', 'security:4688') as is_start,
        event_type in ('sysmon:8', 'sysmon:10') as is_access, -- of one process to another

        -- the process that the event is about
        case event_type
            when 'security:4688' then new_process_name
            when 'security:4689' then process_name
            when 'sysmon:8' then target_image
            when 'sysmon:10' then target_image
            when 'security:4696' then {{ undeclared_value("TargetProcessName") }}
            else case
                -- %OSDRIVE%\a.exe beside C:\a.exe
                when is_applocker
                    then coalesce({{ field("FullFilePath") }}, {{ field("FilePath") }}, {{ field("Package") }})
                else image
            end
        end as path,
        case event_type
            when 'security:4688' then new_process_id
            when 'sysmon:8' then target_process_id
            when 'sysmon:10' then target_process_id
            when 'security:4696' then target_process_id
            else case when is_applocker then {{ field("TargetProcessId") }} else process_id end
        end as pid,
        case when is_access then target_process_guid else process_guid end as guid,

        -- the one that did it; Windows does not say who ended a process: the event is written in that process itself
        case event_type
            when 'sysmon:1' then parent_image
            when 'security:4688' then parent_process_name
            when 'sysmon:8' then source_image
            when 'sysmon:10' then source_image
            else coalesce(process_name, image)
        end as actor_path,
        case event_type
            when 'sysmon:1' then parent_process_id
            when 'sysmon:8' then source_process_id
            when 'sysmon:10' then source_process_id
            else case when not is_applocker then process_id end
        end as actor_pid,
        case event_type
            when 'sysmon:1' then parent_process_guid
            when 'sysmon:8' then source_process_guid
            when 'sysmon:10' then source_process_guid
            else process_guid
        end as actor_guid,
        case event_type
            when 'sysmon:1' then coalesce(parent_user, user_account)
            when 'sysmon:8' then source_user
            when 'sysmon:10' then source_user
            else user_account
        end as actor_account,
        {{ windows_process("actor_path", "actor_pid", "actor_guid") }} as actor_process,

        -- a rendered label is `Mandatory Label\High Mandatory Level`
        regexp_replace(
            coalesce(integrity_level, mandatory_label), '^(?:Mandatory Label\\)?(\w+)(?: Plus)? Mandatory Level$', '\1'
        ) as integrity,
        case integrity
            when 'Low' then 2
            when 'Medium' then 3
            when 'High' then 4
            when 'System' then 5
            when 'S-1-16-0' then 1
            when 'S-1-16-4096' then 2
            when 'S-1-16-8192' then 3
            when 'S-1-16-8448' then 3
            when 'S-1-16-12288' then 4
            when 'S-1-16-16384' then 5
            when 'S-1-16-20480' then 6
            else case when integrity is not null then 99 end
        end as integrity_id
    from read
)

select
    activity_id,
    severity_id,
    case when event_type in ('applocker:8004', 'applocker:8022') then 2 when is_applocker then 1 else status_id end
        as status_id,
    -- AppLocker: 2 Denied, Blocked; 1 Allowed; what would have been blocked is allowed and detected
    case
        when event_type in ('applocker:8004', 'applocker:8022') then 2 when is_applocker then 1
    end as action_id,
    case
        when event_type in ('applocker:8004', 'applocker:8022') then 2
        when event_type in ('applocker:8003', 'applocker:8021') then 15
        when is_applocker then 1
    end as disposition_id,
    message,
    {
        'user': case
            when is_applocker then {{ windows_user("null::varchar", field("TargetUser")) }}
            when event_type like 'sysmon:%' then {{ windows_account("actor_account") }}
            else actor.user
        end,
        'session': {'uid': coalesce(subject_logon_id, {{ field("TargetLogonId") }})},
        'process': {
            'name': actor_process.name,
            'pid': actor_process.pid,
            'uid': actor_process.uid,
            'file': actor_process.file,
            'cmd_line': case when is_start then parent_command_line end,
            'ptid': try_cast(source_thread_id as bigint)
        },
        'app_name': case
            when coalesce(actor_pid, actor_guid, actor_account, subject_user_name, {{ field("TargetUser") }}) is null
                then 'Unknown'
        end
    } as actor,
    device,
    {
        'name': {{ windows_file_name("path") }},
        'pid': try_cast(pid as bigint),
        -- OCSF asks for an id where a record has none
        'uid': coalesce(
            nullif(guid, '{00000000-0000-0000-0000-000000000000}'),
            case when try_cast(pid as bigint) is null then 'Unknown' end
        ),
        'cmd_line': command_line,
        'working_directory': current_directory,
        'integrity_id': integrity_id,
        'integrity': case
            when integrity_id = 99 then integrity
            else {{ ocsf_caption("process_activity", "process.integrity_id", "integrity_id") }}
        end,
        'file': {{ windows_file("path", 8, extra={
            "hashes": windows_hashes("coalesce(hashes, 'SHA256=' || " ~ field("FileHash") ~ ")"),
            "version": "file_version",
            "desc": "file_description",
            "product": "{'name': file_product}",
            "company_name": "file_company",
            "internal_name": "original_file_name",
        }) }},
        'user': case
            when is_access then {{ windows_account("target_user") }}
            when event_type like 'sysmon:%' then actor.user
            -- 4688 names a target account only where it differs from the one that asked
            when target_user_name is not null
                then {{ windows_user("target_user_name", "target_user_sid", "target_domain_name") }}
            else actor.user
        end,
        'session': {
            'uid': coalesce(logon_id, nullif(target_logon_id, '0x0'), subject_logon_id),
            'terminal': terminal_session_id
        },
        'parent_process': {
            'name': case when is_start then actor_process.name end,
            'pid': case when is_start then actor_process.pid end,
            'uid': case when is_start then actor_process.uid end,
            'file': case when is_start and actor_process.name is not null then actor_process.file end,
            'cmd_line': parent_command_line
        }
    } as process,
    -- exit codes are 32 bits; OCSF's integer has a sign
    case
        when event_type = 'security:4689' then try_cast(logged_status as bigint)
            - case when try_cast(logged_status as bigint) > 2147483647 then 4294967296 else 0 end
    end as exit_code,
    case event_type when 'sysmon:8' then 1 when 'sysmon:25' then 99 end as injection_type_id,
    -- what Sysmon found: Image is replaced, Image is locked for access
    case when event_type = 'sysmon:25' then {{ undeclared_value("Type") }} end as injection_type,
    case when is_start then 1 end as launch_type_id,
    case when event_type = 'sysmon:10' then try_cast(granted_access as bigint) end as actual_permissions,
    {
        'start_address': case when coalesce(start_module, start_function) is not null then start_address end,
        'function_name': start_function,
        'file': {{ windows_file("start_module") }}
    } as module,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("process.name", 9, windows_file_name("path")),
        observable("process.cmd_line", 13, "command_line"),
        observable("actor.process.name", 9, "actor_process.name"),
        observable("actor.user.name", 4, "coalesce(subject_user_name, regexp_extract(actor_account, '[^\\\\]+$'))"),
        observable("process.file.hashes", 8, "regexp_extract(hashes, 'SHA256=([0-9A-Fa-f]+)', 1)"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'TokenElevationType': token_elevation_type,
        'LogonGuid': logon_guid,
        'CallTrace': call_trace,
        'NewThreadId': new_thread_id,
        'StartAddress': case when coalesce(start_module, start_function) is null then start_address end
    })) as unmapped
from events
