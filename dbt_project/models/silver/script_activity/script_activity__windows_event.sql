-- PowerShell that ran: script blocks (4104) and pipelines with their parameters (4103).
with events as (
    select
        *,
        coalesce(
            script_path, nullif(trim(regexp_extract(context_info, 'Script Name = ([^\r\n]*)', 1)), '')
        ) as path,
        nullif(trim(regexp_extract(context_info, 'Host Application = ([^\r\n]*)', 1)), '') as host_application,
        nullif(trim(regexp_extract(context_info, 'User = ([^\r\n]*)', 1)), '') as context_user,
        coalesce(account_name, regexp_extract(context_user, '[^\\]+$')) as user_name
    from {{ ref("windows_event") }}
    where class_uid = 1009
)

select
    activity_id,
    severity_id,
    status_id,
    message,
    -- PowerShell itself writes the event: the process of the header is the one that ran the script.
    {
        'user': {{ windows_user("user_name", "account_sid", "account_domain") }},
        'process': {
            'pid': execution_process_id,
            'cmd_line': case when execution_process_id is not null then host_application end
        },
        'app_name': case
            when coalesce(user_name, account_sid, execution_process_id::varchar) is null then 'Unknown'
        end
    } as actor,
    device,
    {
        'type_id': 2,
        'type': 'PowerShell',
        'uid': script_block_id,
        'name': {{ windows_file_name("path") }},
        'file': {{ windows_file("path") }},
        -- A long script block comes in parts, each one event.
        'script_content': {
            'value': coalesce(script_block_text, payload, ''),
            'is_truncated': case when try_cast(message_total as integer) > 1 then true end
        }
    } as script,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("script.file.path", 45, "path"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'MessageNumber': message_number,
        'MessageTotal': message_total,
        'ContextInfo': context_info
    })) as unmapped
from events
