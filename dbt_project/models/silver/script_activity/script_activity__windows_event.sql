-- PowerShell: script blocks (4104), pipelines with their parameters (4103, 800), failures (4100), its engines,
-- providers and runspaces (400-600, 8193-8197, 53504). Scripts that AppLocker looked at (8005-8007).
with read as (
    select
        *,
        event_type like 'windows_powershell:%' as is_classic,
        coalesce(event_type like 'applocker:%', false) as is_applocker,
        case when not event_id between 4103 and 4106 then {{ undeclared_fields([
            "ScriptBlock_ID", "ScriptBlockId", "param1", "param2", "param3", "FilePath", "FullFilePath", "FileHash",
            "TargetUser", "TargetProcessId",
        ]) }} end as fields,
        -- The classic log says everything in its text; without one, in its parameters.
        case
            when is_classic then coalesce(
                case when contains(message_text, 'HostApplication=') then message_text end,
                nullif(array_to_string(list_concat(
                    json_extract_string(event_data, '$.Data[*]'),
                    json_extract_string(event_data, '$.Data."#text"[*]'),
                    json_extract_string(event_data, '$.*')
                ), chr(10)), ''),
                message_text
            )
        end as details
    from {{ ref("windows_event") }}
    where class_uid = 1009
),

events as (
    select
        *,
        coalesce(
            case when is_applocker then coalesce({{ field("FullFilePath") }}, {{ field("FilePath") }}) end,
            script_path,
            nullif(trim(regexp_extract(context_info, 'Script Name = ([^\r\n]*)', 1)), ''),
            nullif(trim(regexp_extract(details, 'ScriptName=([^\r\n]*)', 1)), '')
        ) as path,
        coalesce(
            nullif(trim(regexp_extract(context_info, 'Host Application = ([^\r\n]*)', 1)), ''),
            nullif(trim(regexp_extract(details, 'HostApplication=([^\r\n]*)', 1)), ''),
            case when event_id = 4103 and context_info is null then {{ undeclared_value("HostApplication") }} end
        ) as host_application,
        coalesce(
            nullif(trim(regexp_extract(context_info, '(?:^|\n)\s*User = ([^\r\n]*)', 1)), ''),
            nullif(trim(regexp_extract(details, 'UserId=([^\r\n]*)', 1)), '')
        ) as context_user,
        coalesce(account_name, regexp_extract(context_user, '[^\\]+$')) as user_name,
        case
            when account_name is null then nullif(regexp_extract(context_user, '^([^\\]+)\\', 1), '')
        end as context_domain,
        -- the command of a pipeline, else what the host was started with
        coalesce(
            nullif(trim(regexp_extract(
                details,
                'Pipeline execution details for command line: *((?:.|\n|\r)*?)\.? *(?:\r?\n)+ *Context Information',
                1
            )), ''),
            case when event_id = 800 and message_text is null then {{ field("param1") }} end,
            nullif(trim(regexp_extract(details, 'CommandLine=([^\r\n]*)', 1)), ''),
            case when is_classic then host_application end
        ) as classic_command
    from read
)

select
    activity_id,
    case event_type
        when 'powershell:4106' then 'Complete'
        when 'powershell:8193' then 'Runspace Creation'
        when 'powershell:8194' then 'Runspace Creation'
        when 'powershell:8195' then 'Runspace Open'
        when 'powershell:8196' then 'Runspace Correlation'
        when 'powershell:8197' then 'Runspace State Change'
        when 'powershell:12039' then 'Runspace Correlation'
        when 'powershell:40961' then 'Console Start'
        when 'powershell:40962' then 'Console Start'
        when 'powershell:53504' then 'Listen on Named Pipe'
        when 'windows_powershell:403' then 'Engine Stop'
        when 'windows_powershell:501' then 'Command Stop'
        when 'windows_powershell:600' then 'Provider Start'
    end as activity_name,
    severity_id,
    case
        when event_type = 'applocker:8007' or event_id in (4100, 4101, 4102) then 2
        when is_applocker then 1
        else status_id
    end as status_id,
    -- AppLocker: 2 Denied, Blocked; 1 Allowed; what would have been blocked is allowed and detected
    case when event_id = 8007 and is_applocker then 2 when is_applocker then 1 end as action_id,
    case
        when not is_applocker then null when event_id = 8007 then 2 when event_id = 8006 then 15 else 1
    end as disposition_id,
    message,
    -- PowerShell itself writes the event: the process of the header is the one that ran the script.
    {
        'user': case
            when is_applocker then {{ windows_user("null::varchar", field("TargetUser")) }}
            else {{ windows_user("user_name", "account_sid", "coalesce(account_domain, context_domain)") }}
        end,
        -- the classic log has no process of its own: 0 is none
        'process': {
            'pid': coalesce(try_cast({{ field("TargetProcessId") }} as bigint), nullif(execution_process_id, 0)),
            'uid': case
                when host_application is not null and nullif(execution_process_id, 0) is null then 'Unknown'
            end,
            'cmd_line': host_application
        },
        'app_name': case
            when
                coalesce(
                    user_name, account_sid, nullif(execution_process_id, 0)::varchar, {{ field("TargetUser") }},
                    host_application
                ) is null
                then 'Unknown'
        end
    } as actor,
    device,
    {
        'type_id': case
            when not is_applocker then 2
            else case lower(regexp_extract(path, '[.]([^.]+)$', 1))
                when 'bat' then 1 when 'cmd' then 1 when 'ps1' then 2 when 'js' then 4 when 'vbs' then 5 else 0
            end
        end,
        'type': case
            when not is_applocker then 'PowerShell'
            else case lower(regexp_extract(path, '[.]([^.]+)$', 1))
                when 'bat' then 'Windows Command Prompt' when 'cmd' then 'Windows Command Prompt'
                when 'ps1' then 'PowerShell' when 'js' then 'JavaScript' when 'vbs' then 'VBScript' else 'Unknown'
            end
        end,
        'uid': coalesce(script_block_id, {{ field("ScriptBlockId") }}),
        'name': {{ windows_file_name("path") }},
        'file': {{ windows_file("path") }},
        -- A long script block comes in parts, each one event.
        'script_content': {
            'value': coalesce(script_block_text, payload, classic_command, 'Unknown'),
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
