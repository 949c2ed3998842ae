-- Scheduled tasks that were created, changed, deleted or run (Security 4698-4702; Task Scheduler 100-330). What they
-- run stands in their XML.
with read as (
    select
        *,
        coalesce(event_type like 'task_scheduler:%', false) as is_scheduler,
        {{ undeclared_fields([
            "ClientProcessId", "ParentProcessId", "ClientProcessStartKey", "UserContext", "UserName", "ActionName",
            "ResultCode", "InstanceId", "TaskInstanceId", "EnginePID", "ProcessID", "Path", "TaskName", "Name",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 1006
),

tasks as (
    select
        *,
        coalesce(task_content_new, task_content) as definition,
        coalesce({{ field("UserContext") }}, {{ field("UserName") }}) as task_user,
        -- the program of an action, where the scheduler names it
        coalesce({{ field("ActionName") }}, case when is_scheduler then coalesce({{ field("Path") }}, script_path) end)
            as action_name,
        {{ field("ResultCode") }} as result_code,
        nullif({{ field("ClientProcessId") }}, '0') as client_process_id,
        nullif({{ field("ParentProcessId") }}, '0') as client_parent_id
    from read
),

events as (
    select
        *,
        -- the text of the first element of a name, its entities resolved; these elements have no attributes
        {% for column, element in [
            ("command", "Command"),
            ("arguments", "Arguments"),
            ("run_as", "UserId"),
            ("task_description", "Description"),
        ] -%}
        nullif(trim(replace(replace(replace(replace(replace(
            regexp_extract(definition, '<{{ element }}>([^<]*)</{{ element }}>', 1),
            '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&apos;', chr(39)), '&amp;', '&')), '') as {{ column }},
        {% endfor -%}
        nullif(concat_ws(' ', command, arguments), '') as task_command_line
    from tasks
)

select
    activity_id,
    case event_id
        when 102 then 'Complete' when 111 then 'Terminate' when 201 then 'Complete' when 202 then 'Fail'
        when 329 then 'Terminate' when 330 then 'Terminate'
    end as activity_name,
    severity_id,
    case
        when event_id in (101, 103, 202, 203, 322) and is_scheduler then 2
        -- a task ends with the code of its program
        when event_id = 201 and is_scheduler then case when try_cast(result_code as bigint) <> 0 then 2 else 1 end
        when is_scheduler and status_id = 0 then 1
        else status_id
    end as status_id,
    result_code as status_code,
    message,
    {
        'user': case
            when not is_scheduler then actor.user
            when task_user like 'S-1-%' then {{ windows_user("null::varchar", "task_user") }}
            else {{ windows_account("task_user") }}
        end,
        'session': actor.session,
        -- who called the scheduler (4698 and its siblings since Windows 10 1903)
        'process': {
            'pid': case
                when not is_scheduler then try_cast(client_process_id as bigint)
            end,
            'uid': case
                when try_cast(client_process_id as bigint) is not null then {{ field("ClientProcessStartKey") }}
            end,
            'parent_process': {
                'pid': case
                    when try_cast(client_process_id as bigint) is not null then try_cast(client_parent_id as bigint)
                end
            }
        }
    } as actor,
    device,
    {
        'name': coalesce(task_name, {{ field("Name") }}, 'Unknown'),
        'desc': task_description,
        'cmd_line': coalesce(task_command_line, action_name),
        'file': {{ windows_file("trim(coalesce(command, action_name), '\"')") }},
        'user': case
            when run_as like 'S-1-%' then {{ windows_user("null::varchar", "run_as") }}
            else {{ windows_account("run_as") }}
        end,
        'run_state_id': case
            when not is_scheduler then null
            when event_id in (100, 107, 108, 110, 118, 119, 129, 200) then 3 -- Running
            when event_id in (102, 111, 201, 202, 329, 330) then 4 -- Stopped
        end,
        'run_state': case
            when not is_scheduler then null
            when event_id in (100, 107, 108, 110, 118, 119, 129, 200) then 'Running'
            when event_id in (102, 111, 201, 202, 329, 330) then 'Stopped'
        end
    } as job,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("job.cmd_line", 13, "task_command_line"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'TaskContent': task_content,
        'TaskContentNew': task_content_new
    })) as unmapped
from events
