-- Files and folders that were made, written, renamed, opened or deleted. A file that is written counts as created: the
-- sensor tells that its content came to the disk, not whether there was a file of that name before.
with events as (
    select
        *,
        activity_id = 5 and source_file_name is not null as renamed,
        event_name like 'Directory%' as is_folder,
        case when renamed then source_file_name else coalesce(target_file_name, target_directory_name) end as path,
        try_cast(nt_status as bigint) as status_number
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 1001
)

select
    activity_id,
    severity_id,
    action_id,
    disposition_id,
    attacks,
    -- Windows sensors tell the status of the file system's answer.
    case when coalesce(status_number, 0) <> 0 then 2 else status_id end as status_id,
    -- an NTSTATUS, with or without a sign, as 0x…
    case
        when status_number between 1 and 4294967295 then format('0x{:08x}', status_number)
        when status_number between -2147483648 and -1 then format('0x{:08x}', status_number + 4294967296)
    end as status_code,
    actor,
    {
        'name': coalesce({{ windows_file_name("path") }}, path, 'Unknown'),
        'path': path,
        'parent_folder': nullif(regexp_extract(path, '^(.*)[\\/][^\\/]*$', 1), ''),
        'ext': case
            when not is_folder then nullif(regexp_extract({{ windows_file_name("path") }}, '[.]([^.]+)$', 1), '')
        end,
        'type_id': case when is_folder then 2 else 1 end,
        'type': case when is_folder then 'Folder' else 'Regular File' end,
        'size': try_cast(file_size as bigint),
        'hashes': hashes
    } as file,
    case
        when renamed then {
            'name': coalesce({{ windows_file_name("target_file_name") }}, target_file_name, 'Unknown'),
            'path': target_file_name,
            'type_id': 1,
            'type': 'Regular File'
        }
    end as file_result,
    {{ fdr_int32("desired_access") }} as access_mask,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("file.path", 45, "path"),
        observable("file_result.path", 45, "case when renamed then target_file_name end"),
        observable("actor.process.name", 9, "coalesce(actor.process.name, context_base_file_name)"),
        observable("actor.user.name", 4, "user_name"),
        observable("file.hashes", 8, "case when " ~ fdr_is_hash("sha256") ~ " then sha256 end"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextBaseFileName", "ContextImageFileName", "TargetFileName", "SourceFileName",
        "TargetDirectoryName", "Size", "SHA256HashData", "SHA1HashData", "MD5HashData", "DesiredAccess", "Status",
        "UserName", "UserSid", "UID", "FileOperatorSid", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from events
