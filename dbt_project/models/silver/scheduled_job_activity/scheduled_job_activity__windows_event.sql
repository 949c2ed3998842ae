-- Scheduled tasks that were created, changed or deleted (Security 4698-4702); what they run stands in their XML.
with tasks as (
    select
        *,
        coalesce(task_content_new, task_content) as definition
    from {{ ref("windows_event") }}
    where class_uid = 1006
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
    severity_id,
    status_id,
    message,
    actor,
    device,
    {
        'name': coalesce(task_name, 'Unknown'),
        'desc': task_description,
        'cmd_line': task_command_line,
        'file': {{ windows_file("trim(command, '\"')") }},
        'user': case
            when run_as like 'S-1-%' then {{ windows_user("null::varchar", "run_as") }}
            else {{ windows_account("run_as") }}
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
