-- External devices that were recognised, enabled, disabled or refused (Security 6416, 6419-6424).
with read as (
    select
        *,
        {{ undeclared_fields(["DeviceId", "DeviceDescription", "ClassId", "ClassName", "VendorIds", "HardwareIds"]) }}
            as fields
    from {{ ref("windows_event") }}
    where class_uid = 1010
),

events as (
    select
        *,
        -- classes of devices by Windows' own names
        case lower({{ field("ClassName") }})
            when 'diskdrive' then 1
            when 'wpd' then 1
            when 'volume' then 1
            when 'keyboard' then 2
            when 'mouse' then 3
            when 'printer' then 4
            when 'printqueue' then 4
            when 'monitor' then 5
            when 'camera' then 7
            else case when {{ field("ClassName") }} is not null then 99 else 0 end
        end as kind_id
    from read
)

select
    activity_id,
    case event_id
        when 6419 then 'Disable Request' when 6421 then 'Enable Request'
        when 6423 then 'Installation Forbidden' when 6424 then 'Installation Allowed'
    end as activity_name,
    severity_id,
    case when event_id = 6423 then 2 else status_id end as status_id,
    case event_id when 6423 then 2 when 6424 then 1 end as action_id,
    case event_id when 6423 then 2 when 6424 then 1 end as disposition_id,
    message,
    actor,
    device,
    {
        'name': coalesce({{ field("DeviceDescription") }}, {{ field("DeviceId") }}, 'Unknown'),
        'uid': {{ field("DeviceId") }},
        'class': {{ field("ClassName") }},
        'type_id': kind_id,
        'type': case
            when kind_id = 99 then {{ field("ClassName") }}
            else {{ ocsf_caption("peripheral_activity", "peripheral_device.type_id", "kind_id") }}
        end,
        'vendor_id_list': {{ windows_list(field("VendorIds")) }}
    } as peripheral_device,
    metadata,
    unmapped
from events
