-- Processes that start, end, or act on another. uid is Falcon's id (TargetProcessId), unique per sensor; pid is the
-- operating system's, which only starts and ends carry.
with events as (
    select
        *,
        activity_id in (1, 2) as about_itself,
        -- The process that made it, mostly its parent; the end of a process is written in that process itself.
        case
            when activity_id = 1 then coalesce(source_process_id, parent_process_id)
            else coalesce(context_process_id, target_process_id)
        end as actor_uid,
        case activity_id
            when 1 then parent_image_file_name
            when 2 then image_file_name
            else coalesce(context_image_file_name, image_file_name)
        end as actor_path,
        case when activity_id = 1 then parent_base_file_name else context_base_file_name end as actor_name,
        case
            when activity_id = 1 then parent_command_line when not about_itself then command_line
        end as actor_command_line,
        case when about_itself then image_file_name else target_image_file_name end as path,
        case try_cast(integrity_level as bigint)
            when 0 then 1 when 4096 then 2 when 8192 then 3 when 8448 then 3
            when 12288 then 4 when 16384 then 5 when 20480 then 6
            else case when integrity_level is not null then 99 end
        end as integrity_id
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 1007
)

select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor(
        "actor_uid", "actor_path", "actor_name",
        pid="case when activity_id = 2 and actor_uid = target_process_id then raw_process_id end",
        extra={"cmd_line": "actor_command_line"},
    ) }} as actor,
    {
        -- OCSF asks for an id
        'uid': coalesce(
            target_process_id, case when raw_process_id is null or not about_itself then 'Unknown' end
        ),
        'pid': case when about_itself then raw_process_id end,
        'name': {{ windows_file_name("path") }},
        'cmd_line': case when about_itself then command_line else target_command_line end,
        'created_time': {{ fdr_millis("process_start_time") }},
        'integrity_id': integrity_id,
        'integrity': case
            when integrity_id = 99 then integrity_level
            else {{ ocsf_caption("process_activity", "process.integrity_id", "integrity_id") }}
        end,
        'file': {{ fdr_binary("path", "about_itself") }},
        'user': case when about_itself then actor_user end,
        'session': {'uid': case when about_itself then authentication_id end, 'terminal': session_id},
        'parent_process': {{ fdr_process(
            "parent_process_id", "parent_image_file_name", "parent_base_file_name",
            extra={"cmd_line": "parent_command_line"}
        ) }}
    } as process,
    {{ fdr_int32("exit_code") }} as exit_code,
    case
        when activity_id <> 4 then null
        when injected_dll is not null or event_name = 'DllInjection' then 2
        else 1
    end as injection_type_id,
    case when activity_id = 1 then 1 end as launch_type_id,
    {{ fdr_int32("desired_access") }} as requested_permissions,
    case
        when coalesce(injected_dll, target_thread_module) is not null then {
            'file': {{ windows_file("coalesce(injected_dll, target_thread_module)") }},
            'start_address': thread_start_address,
            'load_type_id': 0,
            'load_type': 'Unknown'
        }
    end as module,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("process.name", 9, windows_file_name("path")),
        observable("process.cmd_line", 13, "case when about_itself then command_line else target_command_line end"),
        observable(
            "actor.process.name", 9, "coalesce(" ~ windows_file_name("actor_path") ~ ", actor_name)"
        ),
        observable("actor.user.name", 4, "user_name"),
        observable(
            "process.file.hashes", 8, "case when about_itself and " ~ fdr_is_hash("sha256") ~ " then sha256 end"
        ),
    ]) }} as observables,
    {{ fdr_unmapped([
        "TargetProcessId", "ContextProcessId", "ParentProcessId", "SourceProcessId", "ImageFileName", "CommandLine",
        "ParentBaseFileName", "ParentImageFileName", "ParentCommandLine", "ContextBaseFileName",
        "ContextImageFileName", "TargetImageFileName", "TargetProcessImageFileName", "TargetProcessCommandLine",
        "ProcessStartTime", "IntegrityLevel", "SessionId", "AuthenticationId", "ExitCode", "DesiredAccess",
        "InjectedDll", "TargetThreadModule", "SHA256HashData", "SHA1HashData", "MD5HashData", "OriginalFilename",
        "CompanyName", "FileVersion", "UserName", "UserSid", "UID", "LogonDomain",
    ]) }} as unmapped,
    metadata,
    device
from events
