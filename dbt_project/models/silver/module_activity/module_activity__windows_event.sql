-- Libraries that a process loaded (Sysmon 7).
with events as (
    select
        *,
        case when signed = 'true' then [{
            'algorithm_id': 0,
            'algorithm': 'Unknown',
            'developer_uid': signature,
            'state_id': case lower(signature_status)
                when 'valid' then 1
                when 'expired' then 2
                when 'revoked' then 3
                when 'untrusted' then 6
                else 99
            end,
            'state': signature_status
        }] end as signatures
    from {{ ref("windows_event") }}
    where class_uid = 1005
)

select
    activity_id,
    severity_id,
    status_id,
    message,
    actor,
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
