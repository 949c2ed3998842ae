-- Registry keys that were created, changed or deleted. What was done is the sensor's RegOperationType: CrowdStrike
-- lists set value, delete value, create key (1 to 3), and hunts for deleted tasks ask for 2 and 4. Other numbers are
-- unknown.
select
    coalesce(activity_id, case reg_operation_type
        when '1' then 3 when '2' then 3 when '3' then 1 when '4' then 4
        else 0
    end) as activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor(
        "context_process_id", "coalesce(context_image_file_name, image_file_name)", extra={"cmd_line": "command_line"}
    ) }} as actor,
    {'path': coalesce(reg_object_name, 'Unknown')} as reg_key,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("reg_key.path", 46, "reg_object_name"),
        observable("actor.process.name", 9, windows_file_name("coalesce(context_image_file_name, image_file_name)")),
        observable("actor.user.name", 4, "user_name"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextImageFileName", "ContextBaseFileName", "ImageFileName", "CommandLine",
        "RegObjectName", "RegOperationType", "UserName", "UserSid", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from {{ ref("crowdstrike_fdr") }}
where class_uid = 201001
