-- Libraries that a process loaded (Sysmon 7), and images that code integrity looked at (CodeIntegrity 3004-3077).
with read as (
    select
        *,
        coalesce(event_type like 'code_integrity:%', false) as is_integrity,
        case when is_integrity then {{ undeclared_fields([
            "File Name", "FileNameBuffer", "ProcessNameBuffer", "Process Name", "PolicyName",
            "PolicyNameBuffer", "PolicyGUID", "SHA256 Hash", "SHA1 Hash", "Status",
        ]) }} end as fields
    from {{ ref("windows_event") }}
    where class_uid = 1005
),

events as (
    select
        * replace (
            coalesce(
                image_loaded, {{ field("File Name") }}, {{ field("FileNameBuffer") }}
            ) as image_loaded
        ),
        coalesce({{ field("ProcessNameBuffer") }}, {{ field("Process Name") }}) as checked_process,
        -- 3034, 3065, 3066 and 3076 only audit
        is_integrity and event_id in (3004, 3023, 3033, 3063, 3077) as is_blocked,
        {{ windows_signatures() }} as signatures
    from read
)

select
    activity_id,
    severity_id,
    case when is_blocked then 2 when is_integrity then 1 else status_id end as status_id,
    case when is_integrity then {{ field("Status") }} end as status_code,
    -- 2 Denied, Blocked; what would have been blocked is allowed and detected
    case when is_blocked then 2 when is_integrity then 1 end as action_id,
    case when is_blocked then 2 when is_integrity then 15 end as disposition_id,
    message,
    {
        'user': actor.user,
        'session': actor.session,
        'process': case
            when is_integrity then {{ windows_process("checked_process", "null::varchar") }} else actor.process
        end,
        'app_name': case when checked_process is null then actor.app_name end
    } as actor,
    device,
    {
        'type': case when lower(image_loaded) like '%.dll' then 'dll' end,
        'load_type_id': 0,
        'load_type': 'Unknown',
        'file': {{ windows_file("image_loaded", 8, extra={
            "hashes": windows_hashes("hashes"),
            "version": "file_version",
            "desc": "file_description",
            "product": "{'name': file_product}",
            "company_name": "file_company",
            "internal_name": "original_file_name",
            "signatures": "signatures",
        }) }}
    } as module,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.process.name", 9, windows_file_name("image")),
        observable("module.file.name", 7, windows_file_name("image_loaded")),
        observable("module.file.hashes", 8, "regexp_extract(hashes, 'SHA256=([0-9A-Fa-f]+)', 1)"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({'Signed': signed})) as unmapped
from events
