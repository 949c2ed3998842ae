-- Falcon events that no route sends elsewhere: published whole, under their own name, never dropped.
select
    99 as activity_id,
    coalesce(event_name, 'unnamed') as activity_name,
    severity_id,
    action_id,
    disposition_id,
    attacks,
    {
        'process': {{ fdr_process(
            "coalesce(context_process_id, target_process_id)", "coalesce(context_image_file_name, image_file_name)",
            "context_base_file_name", extra={"cmd_line": "command_line"}
        ) }},
        'user': actor.user
    } as actor,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("unmapped.CommandLine", 13, "command_line"),
        observable("unmapped.RemoteAddress", 2, "remote_ip"),
    ]) }} as observables,
    {{ fdr_unmapped() }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from {{ ref("crowdstrike_fdr") }}
where class_uid = 0
