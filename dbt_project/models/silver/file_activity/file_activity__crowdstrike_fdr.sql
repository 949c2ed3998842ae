-- Files and folders that were made, written, renamed, opened or deleted. A file that is written counts as created: the
-- sensor tells that its content came to the disk, not whether there was a file of that name before.
with events as (
    select *,
        activity_id = 5 and source_file_name is not null as renamed,
        event_name like 'Directory%' as is_folder,
        case when activity_id = 5 and source_file_name is not null then source_file_name
            else coalesce(target_file_name, target_directory_name) end as path
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 1001
)

select
    activity_id,
    severity_id,
    -- Windows sensors tell the status of the file system's answer.
    case when coalesce(try_cast(nt_status as bigint), 0) = 0 then 1 else 2 end as status_id,
    case when try_cast(nt_status as bigint) <> 0 then {{ fdr_nt_status("nt_status") }} end as status_code,
    {{ fdr_actor() }} as actor,
    {'name': coalesce({{ windows_file_name("path") }}, path, 'Unknown'),
     'path': path,
     'parent_folder': nullif(regexp_extract(path, '^(.*)[\\/][^\\/]*$', 1), ''),
     'ext': case when not is_folder then nullif(regexp_extract({{ windows_file_name("path") }}, '[.]([^.]+)$', 1), '') end,
     'type_id': case when is_folder then 2 else 1 end,
     'type': case when is_folder then 'Folder' else 'Regular File' end,
     'size': try_cast(file_size as bigint),
     'hashes': {{ fdr_hashes() }}} as file,
    {'name': case when renamed then coalesce({{ windows_file_name("target_file_name") }}, target_file_name, 'Unknown') end,
     'path': case when renamed then target_file_name end,
     'type_id': case when renamed then 1 end,
     'type': case when renamed then 'Regular File' end} as file_result,
    {{ fdr_int32("desired_access") }} as access_mask,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("file.path", 45, "path"),
        observable("file_result.path", 45, "case when renamed then target_file_name end"),
        observable("actor.process.name", 9, "coalesce(" ~ windows_file_name("context_image_file_name") ~ ", context_base_file_name)"),
        observable("actor.user.name", 4, "user_name"),
        observable("file.hashes", 8, "case when " ~ fdr_is_hash("sha256") ~ " then sha256 end"),
    ]) }} as observables,
    {{ fdr_unmapped(["ContextProcessId", "ContextBaseFileName", "ContextImageFileName", "TargetFileName", "SourceFileName", "TargetDirectoryName",
        "Size", "SHA256HashData", "SHA1HashData", "MD5HashData", "DesiredAccess", "Status", "UserName", "UserSid", "UID", "FileOperatorSid",
        "AuthenticationId"]) }} as unmapped,
    {{ fdr_event() }}
from events
