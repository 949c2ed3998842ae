-- Scheduled tasks that were created, changed or deleted (Security 4698-4702); what they run stands in their XML.
with tasks as (
    select *, coalesce(task_content_new, task_content) as definition
    from {{ ref("windows_event") }}
    where class_uid = 1006
),

events as (
    select *,
        {{ xml_text("definition", "Command") }} as command,
        {{ xml_text("definition", "Arguments") }} as arguments,
        {{ xml_text("definition", "UserId") }} as run_as,
        {{ xml_text("definition", "Description") }} as task_description
    from tasks
)

select
    activity_id,
    severity_id,
    status_id,
    {{ security_actor() }} as actor,
    {'name': coalesce(task_name, 'Unknown'),
     'desc': task_description,
     'cmd_line': nullif(concat_ws(' ', command, arguments), ''),
     'file': {{ windows_file("trim(command, '\"')") }},
     'user': case
        when run_as like 'S-1-%' then {{ windows_user("null::varchar", "run_as") }}
        else {{ windows_account("run_as") }}
     end} as job,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("job.cmd_line", 13, "nullif(concat_ws(' ', command, arguments), '')"),
    ]) }} as observables,
    {{ windows_unmapped({"TaskContent": "task_content", "TaskContentNew": "task_content_new"}) }} as unmapped,
    {{ windows_event() }}
from events
