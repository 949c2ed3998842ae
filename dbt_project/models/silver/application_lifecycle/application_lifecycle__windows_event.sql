-- Programs of Windows that were started, stopped, enabled, disabled, updated, set anew, or failed: Sysmon (4, 16, 255),
-- Microsoft Defender Antivirus (2000s, 5000s) and the firewall (Security 5024-5037).
with read as (
    select
        *,
        {{ undeclared_fields([
            "State", "Version", "Product Name", "Product Version", "Feature Name", "Error Code", "Error Description",
            "ErrorCode", "Domain", "User", "SID", "ID", "Description",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 6002
),

events as (
    select
        *,
        event_type like 'sysmon:%' as is_sysmon,
        event_type like 'defender:%' as is_defender,
        {{ field("Error Code") }} as error_code
    from read
)

select
    coalesce(activity_id, case lower({{ field("State") }}) when 'started' then 3 when 'stopped' then 4 else 99 end)
        as activity_id,
    case
        when event_type in ('sysmon:16', 'defender:5004', 'defender:5007') then 'Configuration Change'
        when
            event_type in (
                'sysmon:255', 'defender:3002', 'defender:5008', 'security:5027', 'security:5028', 'security:5029'
            )
            then 'Error'
        when event_type = 'defender:5013' then 'Configuration Change Blocked'
        when event_type in ('defender:1150', 'defender:1151') then 'Health Report'
        when event_type = 'defender:3007' then 'Recovery'
        when event_type in ('defender:1013', 'defender:1014') then 'History Deletion'
    end as activity_name,
    severity_id,
    -- by the meaning of the event: Sysmon writes of its own errors, Defender and the firewall of what failed
    case
        when event_type = 'sysmon:255' then 2
        when is_defender and event_id in (1014, 2001, 2003, 2004, 3002, 5008, 5013) then 2
        when event_id in (5027, 5028, 5029, 5030, 5035, 5037) then 2
        when is_defender and status_id = 0 then 1
        else status_id
    end as status_id,
    case when error_code <> '0x0' then error_code end as status_code,
    case
        when event_type = 'sysmon:255' then coalesce({{ field("Description") }}, file_description)
        else {{ field("Error Description") }}
    end as status_detail,
    case when event_type = 'defender:5013' then 2 end as action_id,
    case when event_type = 'defender:5013' then 2 end as disposition_id,
    message,
    {
        'user': case
            when is_sysmon then {{ windows_account("user_account") }}
            when is_defender then {{ windows_user(field("User"), field("SID"), field("Domain")) }}
            else actor.user
        end
    } as actor,
    device,
    {
        'name': case
            when is_sysmon then 'Sysmon'
            when is_defender then coalesce({{ field("Product Name") }}, 'Microsoft Defender Antivirus')
            else 'Windows Firewall'
        end,
        'vendor_name': 'Microsoft',
        'version': case
            when event_type = 'sysmon:4' then {{ field("Version") }}
            when is_defender then {{ field("Product Version") }}
        end,
        'feature': {
            'name': case
                when event_type in ('defender:5000', 'defender:5001', 'defender:5004') then 'Real-time protection'
                when event_type = 'defender:5013' then 'Tamper protection'
                when is_defender then {{ field("Feature Name") }}
                when event_id in (5033, 5034, 5035, 5037) then 'Driver'
            end
        }
    } as app,
    metadata,
    unmapped
from events
