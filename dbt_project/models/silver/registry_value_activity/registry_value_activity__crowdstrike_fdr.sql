-- Registry values that were set or deleted.
with events as (
    select
        *,
        case try_cast(reg_type as integer)
            when 1 then 10 when 2 then 4 when 3 then 1 when 4 then 2 when 5 then 3 when 6 then 5 when 7 then 6
            when 11 then 8
            else case reg_type -- exports of event searches name it
                when 'REG_BINARY' then 1 when 'REG_DWORD' then 2 when 'REG_DWORD_BIG_ENDIAN' then 3
                when 'REG_EXPAND_SZ' then 4 when 'REG_LINK' then 5 when 'REG_MULTI_SZ' then 6 when 'REG_NONE' then 7
                when 'REG_QWORD' then 8 when 'REG_SZ' then 10
                else 0
            end
        end as data_type_id
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 201002
)

select
    coalesce(activity_id, case reg_operation_type
        when '1' then 2 when '2' then 4 when '4' then 4
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
    {
        'path': coalesce(reg_object_name, 'Unknown'),
        'name': coalesce(reg_value_name, '(Default)'),
        'is_default': reg_value_name is null,
        'type_id': data_type_id,
        'type': {{ ocsf_caption("registry_value_activity", "reg_value.type_id", "data_type_id") }},
        'data': to_json(coalesce(reg_string_value, reg_numeric_value)),
        'reg_string_data': reg_string_value,
        'reg_integer_data': {{ fdr_int32("reg_numeric_value") }}
    } as reg_value,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("reg_value.path", 46, "reg_object_name"),
        observable("reg_value.name", 43, "reg_value_name"),
        observable("actor.process.name", 9, windows_file_name("coalesce(context_image_file_name, image_file_name)")),
        observable("actor.user.name", 4, "user_name"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextImageFileName", "ContextBaseFileName", "ImageFileName", "CommandLine",
        "RegObjectName", "RegValueName", "RegStringValue", "RegNumericValue", "RegType", "RegOperationType",
        "UserName", "UserSid", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from events
