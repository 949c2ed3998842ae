-- Logons, failed logons and logoffs that sensors saw.
with coded as (
    select
        *,
        -- an NTSTATUS, decimal with or without a sign, or hexadecimal, as 0x…; zero is none
        list_transform([nt_sub_status, nt_status], lambda code: case
            when lower(code) like '0x%' then lower(code)
            when try_cast(code as bigint) between 1 and 4294967295 then format('0x{:08x}', try_cast(code as bigint))
            when try_cast(code as bigint) between -2147483648 and -1
                then format('0x{:08x}', try_cast(code as bigint) + 4294967296)
        end) as codes,
        codes[1] as sub_status,
        codes[2] as status,
        try_cast(logon_type as integer) as logon_number
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 3002
),

events as (
    select coded.*, coalesce(sub_code.meaning, code.meaning) as status_meaning
    from coded
    left join {{ ref("windows_status_codes") }} as code on code.code = coded.status
    left join {{ ref("windows_status_codes") }} as sub_code on sub_code.code = coded.sub_status
)

select
    activity_id,
    severity_id,
    case when event_name like 'UserLogonFailed%' then 2 else 1 end as status_id,
    coalesce(sub_status, status) as status_code,
    case when coalesce(sub_status, status) is not null then status_meaning end as status_detail,
    {{ fdr_user(
        "coalesce(user_name, case when nullif(user_uid, 'S-1-0-0') is null then 'Unknown' end)",
        "user_uid",
        "logon_domain",
        extra={"email_addr": email_or_null("user_principal")}
    ) }} as user,
    {'process': actor.process} as actor,
    -- The name is what the client says of itself.
    {'ip': remote_ip, 'hostname': client_computer_name} as src_endpoint,
    {
        'hostname': computer_name,
        'uid': aid,
        'ip': local_ip,
        'name': case when coalesce(computer_name, aid, local_ip) is null then 'Unknown' end
    } as dst_endpoint,
    {'uid': authentication_id, 'created_time': {{ fdr_millis("logon_time") }}} as session,
    -- OCSF numbers logon types as Windows does, but for 0, which is the system itself.
    case
        when logon_number = 0 then 1
        when logon_number in (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13) then logon_number
        when logon_type is not null then 99
        else 0
    end as logon_type_id,
    case
        when coalesce(logon_number, -1) not in (0, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13) then logon_type
    end as logon_type,
    case
        when lower(authentication_package) = 'kerberos' then 2
        when lower(authentication_package) in ('ntlm', 'microsoft_authentication_package_v1_0') then 1
        when lower(authentication_package) in ('wdigest', 'digest') then 3
        when authentication_package is not null then 99
    end as auth_protocol_id,
    -- A package that OCSF does not list is named as Windows names it: Negotiate says only that the parties chose.
    case
        when lower(authentication_package) not in (
            'kerberos', 'ntlm', 'microsoft_authentication_package_v1_0', 'wdigest', 'digest'
        ) then authentication_package
    end as auth_protocol,
    case
        when logon_number in (10, 12) then true
        when logon_number in (3, 8) then remote_ip not like '127.%' and remote_ip not in ('::1', '0:0:0:0:0:0:0:1')
        when logon_number is not null then false
    end as is_remote,
    case when logon_number is not null then logon_number = 8 end as is_cleartext,
    {{ observables([
        observable("user.name", 4, "user_name"),
        observable("src_endpoint.ip", 2, "remote_ip"),
        observable("src_endpoint.hostname", 1, "client_computer_name"),
        observable("dst_endpoint.hostname", 1, "computer_name"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextBaseFileName", "ContextImageFileName", "UserName", "UserSid", "UID",
        "LogonDomain", "LogonType", "LogonTime", "AuthenticationPackage", "AuthenticationId", "ClientComputerName",
        "SubStatus", "RemoteAddressIP4", "RemoteAddressIP6", "LocalAddressIP4", "LocalAddressIP6",
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
