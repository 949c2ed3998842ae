-- Remote desktop sessions that were connected, disconnected or denied (Security 4778, 4779, 4825; Terminal Services
-- 22, 24, 25, 39, 40).
with read as (
    select
        *,
        {{ undeclared_fields([
            "AccountName", "AccountDomain", "LogonID", "SessionName", "ClientName", "ClientAddress", "User",
            "SessionID", "Address", "Reason", "Session", "Source",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 4005
),

events as (
    select
        *,
        -- Terminal Services write DOMAIN\name in one field
        coalesce({{ field("User") }}, user_account) as account,
        -- beside the header, AccountName is who wrote the event: there `AccountDomain` says that it is not
        case
            when event_type like 'security:%' then {{ field("AccountName") }}
            else regexp_extract(account, '[^\\]+$')
        end as user_name,
        case
            when event_type like 'security:%' then {{ field("AccountDomain") }}
            else nullif(regexp_extract(account, '^([^\\]+)\\', 1), '')
        end as user_domain,
        coalesce({{ field("ClientAddress") }}, {{ field("Address") }}) as client_address,
        {{ ip_or_null("client_address") }} as client_ip,
        coalesce({{ field("LogonID") }}, {{ field("SessionID") }}, {{ field("Session") }}) as session_uid
    from read
)

select
    activity_id,
    case event_id when 4825 then 'Deny' when 22 then 'Shell Start' end as activity_name,
    severity_id,
    case when event_id = 4825 then 2 when status_id = 0 then 1 else status_id end as status_id,
    case when event_id = 40 then {{ field("Reason") }} end as status_code,
    case when event_id = 4825 then 2 end as action_id,
    case when event_id = 4825 then 2 end as disposition_id,
    message,
    {'user': {{ windows_user("user_name", domain="user_domain") }}, 'session': {'uid': session_uid}} as actor,
    {{ windows_user("user_name", domain="user_domain") }} as user,
    device,
    {
        'ip': client_ip,
        -- LOCAL is the console
        'hostname': coalesce(
            {{ field("ClientName") }},
            case when client_ip is null and upper(client_address) <> 'LOCAL' then client_address end
        )
    } as src_endpoint,
    {'hostname': coalesce(computer_name, 'Unknown')} as dst_endpoint,
    {
        'uid': {{ field("SessionName") }},
        'direction_id': case when {{ field("SessionName") }} is not null then 1 end,
        'direction': case when {{ field("SessionName") }} is not null then 'Inbound' end
    } as connection_info,
    metadata,
    unmapped
from events
