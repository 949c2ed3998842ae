-- Logons, logoffs and Kerberos and NTLM checks (Security 4624, 4625, 4634, 4647, 4648, 4768-4771, 4776).
with events as (
    select
        *,
        event_id in (4624, 4625, 4634, 4647) as is_logon,
        event_id between 4768 and 4771 as is_kerberos,
        event_id = 4776 as is_ntlm_check,
        try_cast(logon_type as integer) as logon_type_number,
        lower(authentication_package_name) as package,
        nullif(sub_status, '0x0') as sub_code,
        coalesce(nullif(sub_status, '0x0'), logged_status, failure_code) as status_code,
        case
            when is_kerberos or is_ntlm_check then coalesce(target_sid, target_user_sid)
            else target_user_sid
        end as user_sid,
        {{ ip_or_null("ip_address") }} as client_ip,
        coalesce(workstation_name, ltrim(workstation, '\')) as client_name,
        case
            when event_id = 4648 and lower(target_server_name) <> 'localhost' then target_server_name
            else computer_name
        end as server_name,
        {{ windows_process("process_name", "nullif(process_id, '0x0')") }} as logon_process
    from {{ ref("windows_event") }}
    where class_uid = 3002
)

select
    activity_id,
    severity_id,
    case
        when event_id in (4625, 4771) then 2
        when event_id in (4768, 4769, 4770, 4776) and logged_status is not null
            then case when try_cast(logged_status as bigint) = 0 then 1 else 2 end
        else status_id
    end as status_id,
    status_code,
    case when try_cast(status_code as bigint) <> 0 then coalesce(sub_codes.meaning, codes.meaning) end as status_detail,
    message,
    {{ windows_user("coalesce(target_user_name, 'Unknown')", "user_sid", "target_domain_name") }} as user,
    {
        'user': actor.user,
        'session': {'uid': nullif(subject_logon_id, '0x0')},
        'process': logon_process
    } as actor,
    device,
    -- the name is what the client says of itself
    {
        'ip': client_ip,
        'port': case when client_ip is not null then nullif(try_cast(ip_port as bigint), 0) end,
        'hostname': client_name
    } as src_endpoint,
    {'hostname': server_name} as dst_endpoint,
    case when is_kerberos then {'name': service_name, 'uid': nullif(service_sid, 'S-1-0-0')} end as service,
    {
        'uid': nullif(target_logon_id, '0x0'),
        'uid_alt': nullif(nullif(lower(logon_guid), '{00000000-0000-0000-0000-000000000000}'), '')
    } as session,
    case
        when not is_logon then null
        when logon_type_number = 0 then 1 -- System
        when logon_type_number in (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13) then logon_type_number
        when logon_type is not null then 99
        else 0
    end as logon_type_id,
    case
        when is_kerberos then 2
        when is_ntlm_check then 1
        when package = 'kerberos' then 2
        when package in ('ntlm', 'microsoft_authentication_package_v1_0') or lm_package_name is not null then 1
        when package in ('wdigest', 'digest') then 3
        when package is not null then 99
    end as auth_protocol_id,
    -- A package that OCSF does not list is named as Windows names it: Negotiate says only that the parties chose.
    case
        when event_id not between 4768 and 4776
            and package not in ('kerberos', 'ntlm', 'microsoft_authentication_package_v1_0', 'wdigest', 'digest')
            and lm_package_name is null
            then authentication_package_name
    end as auth_protocol,
    logon_process,
    case
        when logon_type_number in (10, 12) then true
        -- A computer also logs on to itself over the network stack: without an address nothing is known.
        when logon_type_number in (3, 8) then client_ip not in ('127.0.0.1', '::1')
        when logon_type is not null then false
    end as is_remote,
    case when logon_type is not null then logon_type_number = 8 end as is_cleartext,
    {{ observables([
        observable("user.name", 4, "target_user_name"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("src_endpoint.hostname", 1, "client_name"),
        observable("dst_endpoint.hostname", 1, "server_name"),
        observable("logon_process.name", 9, windows_file_name("process_name")),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'LogonType': case when not is_logon then logon_type end,
        'LogonProcessName': logon_process_name,
        'LmPackageName': lm_package_name,
        'KeyLength': key_length,
        'AuthenticationPackageName': authentication_package_name,
        'PackageName': package_name,
        'TransmittedServices': transmitted_services,
        'ImpersonationLevel': impersonation_level,
        'RestrictedAdminMode': restricted_admin_mode,
        'RemoteCredentialGuard': remote_credential_guard,
        'VirtualAccount': virtual_account,
        'ElevatedToken': elevated_token,
        'FailureReason': failure_reason,
        'Status': case when sub_code is not null then logged_status end,
        'TargetLinkedLogonId': nullif(target_linked_logon_id, '0x0'),
        'TargetOutboundUserName': target_outbound_user_name,
        'TargetOutboundDomainName': target_outbound_domain_name,
        'TargetLogonGuid': nullif(target_logon_guid, '{00000000-0000-0000-0000-000000000000}'),
        'TargetServerName': target_server_name,
        'TargetInfo': target_info,
        'IpAddress': case when client_ip is null then ip_address end,
        'TicketOptions': ticket_options,
        'TicketEncryptionType': ticket_encryption_type,
        'PreAuthType': pre_auth_type,
        'CertIssuerName': cert_issuer_name,
        'CertSerialNumber': cert_serial_number,
        'CertThumbprint': cert_thumbprint
    })) as unmapped
from events
left join {{ ref("windows_status_codes") }} as codes on codes.code = lower(coalesce(logged_status, failure_code))
left join {{ ref("windows_status_codes") }} as sub_codes on sub_codes.code = lower(sub_code)
