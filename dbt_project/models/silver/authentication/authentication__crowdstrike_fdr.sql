-- Logons, failed logons and logoffs that sensors saw, authentications that domain controllers saw, and sign-ins to the
-- Falcon console.
with read as (
    select
        *,
        starts_with(event_type, 'ActiveDirectory') as in_domain,
        starts_with(event_type, 'AuditEvent:') or starts_with(event_type, 'RemoteResponse') as in_console,
        in_domain or in_console as has_more
        {%- for name, others in {
            "console_user": ["UserId", "UserName"],
            "console_address": ["UserIp"],
            "console_success": ["Success"],
            "console_service": ["ServiceName"],
            "console_session": ["SessionId"],
            "account_name": ["SourceAccountSamAccountName", "SourceAccountUserName", "SourceAccountName"],
            "account_domain": ["SourceAccountDomain"],
            "account_sid": ["SourceAccountObjectSid"],
            "account_principal": ["SourceAccountUserPrincipalName", "SourceAccountUpn", "SourceAccountUserPrincipal"],
            "source_host": ["SourceEndpointHostName"],
            "source_address": ["SourceEndpointAddressIP4", "SourceEndpointAddressIP6", "SourceEndpointIpAddress"],
            "source_port": ["SourceEndpointPort"],
            "target_host": ["TargetServerHostName", "TargetEndpointHostName"],
            "target_address": ["TargetServerAddressIP4", "TargetServerAddressIP6"],
            "target_service": ["TargetServiceAccessIdentifier", "TargetServiceName"],
            "method": ["ActiveDirectoryAuthenticationMethod"],
        }.items() %},
        case when has_more then {{ fdr_undeclared(others) }} end as {{ name }}
        {%- endfor %}
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 3002
),

coded as (
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
        try_cast(logon_type as integer) as logon_number,
        {{ fdr_ip("console_address") }} as console_ip,
        {{ fdr_ip("source_address") }} as source_ip,
        {{ fdr_ip("target_address") }} as target_ip,
        coalesce(case when in_domain then source_ip when in_console then console_ip end, remote_ip) as client_ip,
        case when in_domain then source_host else client_computer_name end as client_name
    from read
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
    action_id,
    disposition_id,
    attacks,
    case
        when event_name like 'UserLogonFailed%' or event_name like '%Failure' or console_success = 'false' then 2
        else status_id
    end as status_id,
    coalesce(sub_status, status) as status_code,
    case when coalesce(sub_status, status) is not null then status_meaning end as status_detail,
    case
        when in_console then {{ fdr_console_user("coalesce(console_user, 'Unknown')") }}
        when in_domain then {{ fdr_user(
            "coalesce(account_name, user_name, case when account_sid is null then 'Unknown' end)",
            "account_sid",
            "account_domain",
            extra={"email_addr": email_or_null("account_principal")}
        ) }}
        else {{ fdr_user(
            "coalesce(user_name, case when nullif(user_uid, 'S-1-0-0') is null then 'Unknown' end)",
            "user_uid",
            "logon_domain",
            extra={"email_addr": email_or_null("user_principal")}
        ) }}
    end as user,
    {'process': actor.process} as actor,
    -- The name is what the client says of itself.
    {
        'ip': client_ip,
        'hostname': client_name,
        'port': case when client_ip is not null then {{ fdr_number("source_port", 1, 65535) }} end
    } as src_endpoint,
    case
        when in_domain then {
            'hostname': target_host,
            'uid': null::varchar,
            'ip': target_ip,
            'name': case when coalesce(target_host, target_ip, target_service) is null then 'Unknown' end
        }
        else {
            'hostname': computer_name,
            'uid': aid,
            'ip': local_ip,
            'name': case when coalesce(computer_name, aid, local_ip, console_service) is null then 'Unknown' end
        }
    end as dst_endpoint,
    {'name': coalesce(console_service, target_service)} as service,
    {
        'uid': case when in_console then console_session else authentication_id end,
        'created_time': {{ fdr_millis("logon_time") }}
    } as session,
    case when event_type = 'AuditEvent:twoFactorAuthenticate' then true end as is_mfa,
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
        when event_type = 'AuditEvent:saml2Assert' then 5
        when starts_with(event_type, 'ActiveDirectoryServiceAccess') then 2
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
        observable("user.name", 4, "coalesce(case when in_console then console_user else account_name end, user_name)"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("src_endpoint.hostname", 1, "client_name"),
        observable("dst_endpoint.hostname", 1, "case when in_domain then target_host else computer_name end"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextBaseFileName", "ContextImageFileName", "UserName", "UserSid", "UID",
        "LogonDomain", "LogonType", "LogonTime", "AuthenticationPackage", "AuthenticationId", "ClientComputerName",
        "SubStatus", "RemoteAddressIP4", "RemoteAddressIP6", "LocalAddressIP4", "LocalAddressIP6",
        "UserId", "UserIp", "Success", "ServiceName", "SourceAccountSamAccountName", "SourceAccountDomain",
        "SourceAccountObjectSid", "SourceEndpointHostName", "SourceEndpointAddressIP4", "TargetServerHostName",
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
