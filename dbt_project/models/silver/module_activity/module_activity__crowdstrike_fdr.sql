-- Libraries, drivers and .NET assemblies that were loaded.
with events as (
    select
        *,
        -- An assembly that was never a file has only a name; the image is then the process that loaded it.
        event_name = 'ReflectiveDotnetModuleLoad' as reflective,
        coalesce(target_process_id, context_process_id) as actor_uid,
        case
            when reflective then nullif(nullif(trim(coalesce(
                json_extract_string(_raw, '$.ModuleILPath'), json_extract_string(_raw, '$.event.ModuleILPath')
            )), ''), '-')
            else image_file_name
        end as path,
        case
            when reflective then image_file_name else coalesce(target_image_file_name, context_image_file_name)
        end as actor_path
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 1005
)

select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor("actor_uid", "actor_path", extra={"cmd_line": "command_line"}) }} as actor,
    {
        'type': case
            when event_name = 'DriverLoad' then 'driver'
            when reflective then 'dotnet'
            when lower(path) like '%.dll' then 'dll'
        end,
        'load_type_id': case when reflective then 2 else 0 end,
        'load_type': case when reflective then 'Non Standard' else 'Unknown' end,
        'file': {{ fdr_binary("path", "not reflective") }}
    } as module,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable(
            "actor.process.name", 9, "coalesce(" ~ windows_file_name("actor_path") ~ ", context_base_file_name)"
        ),
        observable("module.file.name", 7, windows_file_name("path")),
        observable(
            "module.file.hashes", 8, "case when not reflective and " ~ fdr_is_hash("sha256") ~ " then sha256 end"
        ),
    ]) }} as observables,
    {{ fdr_unmapped([
        "TargetProcessId", "ContextProcessId", "ImageFileName", "CommandLine", "TargetImageFileName",
        "ContextImageFileName", "ContextBaseFileName", "SHA256HashData", "SHA1HashData", "MD5HashData",
        "OriginalFilename", "CompanyName", "FileVersion", "UserName", "UserSid", "UID", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from events
