-- Falcon events that no route sends elsewhere: published whole, under their own name, never dropped.
select
    99 as activity_id,
    event_name as activity_name,
    severity_id,
    {'process': {{ fdr_process("context_process_id", "context_image_file_name", "context_base_file_name") }},
     'user': {{ fdr_user("user_name", "user_uid", "logon_domain") }}} as actor,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("unmapped.CommandLine", 13, "command_line"),
        observable("unmapped.RemoteAddress", 2, "remote_ip"),
    ]) }} as observables,
    {{ fdr_unmapped() }} as unmapped,
    {{ fdr_event(device_required=false) }}
from {{ ref("crowdstrike_fdr") }}
where class_uid = 0
