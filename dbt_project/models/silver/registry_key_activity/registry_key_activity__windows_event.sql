-- Registry keys that were created, opened for change, renamed or deleted (Sysmon 12, 14; Security 4656, 4663
-- and 4670 on keys).
with events as (
    select
        *,
        coalesce(target_object, object_name) as path,
        try_cast(access_mask as bigint) as mask
    from {{ ref("windows_event") }}
    where class_uid = 201001
)

select
    -- What was tried on an audited key follows from the access mask (Microsoft, registry key access rights).
    coalesce(activity_id, case
        when mask & 65536 <> 0 then 4
        when mask & 786432 <> 0 then 6
        when mask & 4 <> 0 then 1
        when mask & 2 <> 0 then 3
        when mask & 131081 <> 0 then 2
        else 0
    end) as activity_id,
    severity_id,
    status_id,
    message,
    actor,
    device,
    {'path': coalesce(new_name, path, 'Unknown')} as reg_key,
    {'path': case when new_name is not null then coalesce(path, 'Unknown') end} as prev_reg_key,
    mask as access_mask,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("reg_key.path", 46, "coalesce(new_name, path)"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, process_name)")),
        observable("actor.user.name", 4, "subject_user_name"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'ObjectServer': object_server,
        'HandleId': handle_id,
        'AccessList': access_list,
        'AccessReason': access_reason
    })) as unmapped
from events
