-- Scripts that a process ran, as script control saw their text, and what was typed into a console.
with events as (
    select
        * replace (coalesce(
            script_content, case when event_type = 'CommandHistory' then {{ fdr_undeclared(["CommandHistory"]) }} end
        ) as script_content),
        lower(coalesce(regexp_extract(script_content_name, '[.]([^.]+)$', 1), '')) as ext,
        lower(coalesce({{ windows_file_name("image_file_name") }}, '')) as host
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 1009
),

typed as (
    select
        *,
        case
            when ext in ('ps1', 'psm1', 'psd1') then 2
            when ext in ('vbs', 'vbe') then 5
            when ext in ('js', 'jse') then 4
            when ext in ('bat', 'cmd') then 1
            when ext = 'py' then 3
            when ext = 'sh' then 6
            when host in ('powershell.exe', 'pwsh.exe', 'powershell_ise.exe', 'pwsh') then 2
            when host in ('winword.exe', 'excel.exe', 'powerpnt.exe') then 7
            when host like 'python%' then 3
            else 0
        end as script_type_id
    from events
)

select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor(
        "coalesce(context_process_id, target_process_id)", "image_file_name", extra={"cmd_line": "command_line"}
    ) }} as actor,
    {
        'type_id': script_type_id,
        'type': {{ ocsf_caption("script_activity", "script.type_id", "script_type_id") }},
        'name': {{ windows_file_name("script_content_name") }},
        'file': {{ windows_file("script_content_name") }},
        'hashes': {{ fdr_hashes("content_sha256", "null::varchar", "null::varchar") }},
        'script_content': {
            'value': coalesce(script_content, ''),
            'is_truncated': case
                when try_cast(original_content_length as bigint) > length(coalesce(script_content, '')) then true
            end,
            'untruncated_size': {{ fdr_number("original_content_length", 0, 2147483647) }}
        }
    } as script,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.process.name", 9, windows_file_name("image_file_name")),
        observable("actor.user.name", 4, "user_name"),
        observable("script.file.path", 45, "script_content_name"),
        observable("script.hashes", 8, "case when " ~ fdr_is_hash("content_sha256") ~ " then content_sha256 end"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "TargetProcessId", "ImageFileName", "CommandLine", "ScriptContent", "ScriptContentName",
        "ContentSHA256HashData", "OriginalContentLength", "CommandHistory", "UserName", "UserSid", "UID",
        "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from typed
