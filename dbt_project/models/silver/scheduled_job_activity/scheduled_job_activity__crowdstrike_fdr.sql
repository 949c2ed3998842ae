-- Scheduled tasks that were registered, changed or deleted. The process is the one that asked the service for it.
select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor("coalesce(rpc_client_process_id, context_process_id)") }} as actor,
    {
        'name': coalesce(task_name, 'Unknown'),
        'cmd_line': nullif(concat_ws(' ', task_exec_command, task_exec_arguments), ''),
        'file': {{ windows_file("trim(task_exec_command, '\"')") }}
    } as job,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("job.cmd_line", 13, "nullif(concat_ws(' ', task_exec_command, task_exec_arguments), '')"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "RpcClientProcessId", "TaskName", "TaskExecCommand", "TaskExecArguments", "UserName", "UserSid",
        "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from {{ ref("crowdstrike_fdr") }}
where class_uid = 1006
