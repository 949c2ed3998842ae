-- Services that were installed, reconfigured, started or stopped, or failed (Security 4697; System 7000-7045).
with events as (
    select
        *,
        case
            when
                event_id = 4697
                then {{ undeclared_fields(["ClientProcessId", "ParentProcessId", "ClientProcessStartKey"]) }}
            end as fields,
        -- what failed, by Microsoft's texts of the Service Control Manager
        event_id in (
            7000, 7001, 7002, 7003, 7009, 7011, 7022, 7023, 7024, 7026, 7031, 7032, 7034, 7037, 7038, 7039, 7041, 7043
        )
            as is_failure,
        {{ undeclared_value("param1") }} as param1,
        {{ undeclared_value("param2") }} as param2,
        {{ undeclared_value("param3") }} as param3,
        {{ undeclared_value("param4") }} as param4,
        coalesce(service_file_name, image_path) as cmd_line,
        lower(coalesce(service_start_type, start_type)) as start_type_given,
        -- beside the header, AccountName is who wrote the event
        nullif(json_extract_string(event_data, '$.AccountName'), '') as installed_account
    from {{ ref("windows_event") }}
    where class_uid = 201004
),

typed as (
    select
        *,
        -- 4697 writes numbers, 7045 and 7040 words
        case coalesce(start_type_given, param3)
            when '0' then 1
            when 'boot start' then 1
            when '1' then 2
            when 'system start' then 2
            when '2' then 3
            when 'auto start' then 3
            when '3' then 4
            when 'demand start' then 4
            when '4' then 5
            when 'disabled' then 5
        end as start_type_id,
        case
            when lower(service_type) in ('0x1', 'kernel mode driver') then 1
            when lower(service_type) in ('0x2', 'file system driver') then 2
            when lower(service_type) in ('0x10', '0x110', 'user mode service') then 3
            when lower(service_type) in ('0x20', '0x120') then 4
            when service_type is not null then 99
            else 0
        end as type_id,
        -- the program of a command line: what is quoted, or a path up to its extension
        coalesce(
            nullif(regexp_extract(cmd_line, '^"([^"]+)"', 1), ''),
            nullif(regexp_extract(
                cmd_line,
                '(?i)^((?:[a-z]:|%[a-z]+%|system32)?\\[^"/]*?[.](?:exe|sys|dll|com|bat|cmd))(?:\s|$)', 1
            ), '')
        ) as service_path
    from events
)

select
    coalesce(
        activity_id,
        case lower(param2)
            when 'running' then 3 when 'stopped' then 4 when 'paused' then 5 when 'start' then 3 when 'stop' then 4
            when 'pause' then 5 when 'continue' then 6 else 99
        end
    ) as activity_id,
    severity_id,
    case
        when is_failure then 2 when event_id in (7035, 7036, 7040, 7042, 7045) and status_id = 0 then 1 else status_id
    end
        as status_id,
    -- %%1053: an error of Windows by its number
    regexp_replace(case when event_id in (7000, 7023, 7024) then param2 when event_id = 7038 then param3 end, '^%%', '')
        as status_code,
    message,
    {
        'user': case
            when event_id = 4697 then actor.user
            else {{ windows_user("null::varchar", "account_sid") }}
        end,
        'session': {'uid': subject_logon_id},
        -- who called the control manager (4697 since Windows 10 1903)
        'process': {
            'pid': try_cast(nullif({{ field("ClientProcessId") }}, '0') as bigint),
            'uid': case
                when try_cast(nullif({{ field("ClientProcessId") }}, '0') as bigint) is not null
                    then {{ field("ClientProcessStartKey") }}
            end,
            'parent_process': {
                'pid': case
                    when try_cast(nullif({{ field("ClientProcessId") }}, '0') as bigint) is not null
                        then try_cast(nullif({{ field("ParentProcessId") }}, '0') as bigint)
                end
            }
        },
        'app_name': case
            when event_id = 4697 and coalesce(subject_user_name, subject_logon_id) is not null then null
            when account_sid is null then coalesce(provider_name, 'Unknown')
        end
    } as actor,
    device,
    {
        -- 7009 and 7011 begin with the time that was waited
        'name': coalesce(
            service_name, param4, case when event_id in (7009, 7011) then param2 else param1 end, 'Unknown'
        ),
        'cmd_line': cmd_line,
        'service_file': {{ windows_file("service_path", 8) }},
        'service_start_name': coalesce(
            service_account,
            case when event_id = 7045 then installed_account when event_id in (7038, 7041) then param2 end
        ),
        'service_start_type_id': start_type_id,
        'service_start_type': coalesce(
            {{ ocsf_caption("windows_service_activity", "win_service.service_start_type_id", "start_type_id") }},
            start_type_given
        ),
        'service_type_id': type_id,
        'service_type': coalesce(
            case when type_id = 99 then service_type end,
            {{ ocsf_caption("windows_service_activity", "win_service.service_type_id", "type_id") }}
        )
    } as win_service,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("win_service.cmd_line", 13, "cmd_line"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'param1': param1,
        'param2': param2,
        'param3': param3,
        'param4': param4
    })) as unmapped
from typed
