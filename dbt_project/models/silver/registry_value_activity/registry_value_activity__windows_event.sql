-- Registry values that were set, renamed or deleted (Sysmon 12, 13, 14; Security 4657).
with named as (
    select
        *,
        event_id = 4657 as is_audited,
        case
            when is_audited then object_name
            else regexp_extract(coalesce(new_name, target_object), '^(.*)\\[^\\]*$', 1)
        end as key_path,
        case
            when is_audited then {{ undeclared_value("ObjectValueName") }}
            else {{ windows_file_name("coalesce(new_name, target_object)") }}
        end as value_name,
        case when is_audited then {{ undeclared_value("NewValue") }} else registry_details end as value_data,
        case when is_audited then {{ undeclared_value("NewValueType") }} end as audited_type,
        case when is_audited then {{ undeclared_value("OldValue") }} end as old_data,
        case when is_audited then {{ undeclared_value("OperationType") }} end as operation
    from {{ ref("windows_event") }}
    where class_uid = 201002
),

events as (
    select
        *,
        -- Sysmon names the type of numbers only; texts of any kind look alike.
        case
            when value_data like 'DWORD (%' or audited_type = '%%1876' then 2
            when value_data like 'QWORD (%' or audited_type = '%%1883' then 8
            when value_data = 'Binary Data' or audited_type = '%%1875' then 1
            when audited_type = '%%1874' then 4
            when audited_type = '%%1879' then 6
            when audited_type = '%%1873' then 10
            else 0
        end as data_type_id,
        coalesce(nullif(regexp_extract(value_data, 'DWORD [(](0x[0-9a-fA-F]+)[)]', 1), ''), value_data) as number
    from named
)

select
    coalesce(
        activity_id, case operation when '%%1904' then 2 when '%%1905' then 3 when '%%1906' then 4 else 0 end
    ) as activity_id,
    severity_id,
    status_id,
    message,
    actor,
    device,
    {
        'path': coalesce(nullif(key_path, ''), 'Unknown'),
        'name': coalesce(value_name, 'Unknown'),
        'is_default': value_name = '(Default)',
        'type_id': data_type_id,
        'type': {{ ocsf_caption("registry_value_activity", "reg_value.type_id", "data_type_id") }},
        'data': to_json(value_data),
        'reg_integer_data': case when data_type_id = 2 then try_cast(number as bigint) end,
        'reg_string_data': case when data_type_id in (0, 4, 10) then value_data end
    } as reg_value,
    {
        'path': case
            when new_name is not null
                then coalesce(nullif(regexp_extract(target_object, '^(.*)\\[^\\]*$', 1), ''), 'Unknown')
            when old_data is not null then coalesce(key_path, 'Unknown')
        end,
        'name': case
            when new_name is not null then coalesce({{ windows_file_name("target_object") }}, 'Unknown')
            when old_data is not null then coalesce(value_name, 'Unknown')
        end,
        'data': to_json(old_data)
    } as prev_reg_value,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("reg_value.path", 46, "nullif(key_path, '')"),
        observable("reg_value.name", 43, "value_name"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, process_name)")),
        observable("actor.user.name", 4, "subject_user_name"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({'HandleId': handle_id, 'NewValueType': audited_type})) as unmapped
from events
