-- Drivers that were loaded (Sysmon 6).
select
    activity_id,
    severity_id,
    status_id,
    message,
    actor,
    device,
    {
        'file': {
            'name': coalesce({{ windows_file_name("image_loaded") }}, 'Unknown'),
            'path': image_loaded,
            'type_id': 8,
            'type': 'Executable File',
            'hashes': {{ windows_hashes("hashes") }},
            'signatures': {{ windows_signatures() }}
        }
    } as driver,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("driver.file.name", 7, windows_file_name("image_loaded")),
        observable("driver.file.hashes", 8, "regexp_extract(hashes, 'SHA256=([0-9A-Fa-f]+)', 1)"),
    ]) }} as observables,
    metadata,
    unmapped
from {{ ref("windows_event") }}
where class_uid = 1002
