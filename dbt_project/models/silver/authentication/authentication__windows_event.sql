-- Logons, logoffs and Kerberos and NTLM checks (Security 4624, 4625, 4634, 4647, 4648, 4768-4771, 4776).
with events as (
    select windows_event.*,
        coalesce(sub_code.meaning, code.meaning) as status_meaning,
        {{ ip_or_null("ip_address") }} as client_ip,
        coalesce(workstation_name, ltrim(workstation, '\')) as client_name,
        case when event_id = 4648 and lower(target_server_name) <> 'localhost' then target_server_name else computer_name end as server_name
    from {{ ref("windows_event") }} as windows_event
    left join {{ ref("windows_status_codes") }} as code on code.code = lower(coalesce(status, failure_code))
    left join {{ ref("windows_status_codes") }} as sub_code on sub_code.code = lower(nullif(sub_status, '0x0'))
    where class_uid = 3002
)

select
    activity_id,
    severity_id,
    case
        when event_id in (4625, 4771) then 2
        when event_id in (4768, 4769, 4770, 4776) and status is not null then case when try_cast(status as bigint) = 0 then 1 else 2 end
        else status_id
    end as status_id,
    coalesce(nullif(sub_status, '0x0'), status, failure_code) as status_code,
    case when try_cast(coalesce(nullif(sub_status, '0x0'), status, failure_code) as bigint) <> 0 then status_meaning end as status_detail,
    case when event_id in (4768, 4769, 4770, 4771, 4776)
        then {{ windows_user("coalesce(target_user_name, 'Unknown')", "coalesce(target_sid, target_user_sid)", "target_domain_name") }}
        else {{ windows_user("coalesce(target_user_name, 'Unknown')", "target_user_sid", "target_domain_name") }}
    end as user,
    {'user': {{ windows_subject() }}, 'session': {'uid': nullif(subject_logon_id, '0x0')},
     'process': {{ windows_process("process_name", "nullif(process_id, '0x0')") }}} as actor,
    -- The name is what the client says of itself.
    {'ip': client_ip, 'port': case when client_ip is not null then nullif({{ windows_pid("ip_port") }}, 0) end, 'hostname': client_name} as src_endpoint,
    {'hostname': server_name} as dst_endpoint,
    {'name': case when event_id in (4768, 4769, 4770, 4771) then service_name end,
     'uid': case when event_id in (4768, 4769, 4770, 4771) then nullif(service_sid, 'S-1-0-0') end} as service,
    {'uid': nullif(target_logon_id, '0x0'), 'uid_alt': nullif(nullif(lower(logon_guid), '{00000000-0000-0000-0000-000000000000}'), '')} as session,
    case when event_id in (4624, 4625, 4634, 4647) then
        case try_cast(logon_type as integer)
            when 0 then 1 when 2 then 2 when 3 then 3 when 4 then 4 when 5 then 5 when 7 then 7 when 8 then 8 when 9 then 9
            when 10 then 10 when 11 then 11 when 12 then 12 when 13 then 13 else case when logon_type is null then 0 else 99 end
        end
    end as logon_type_id,
    case
        when event_id between 4768 and 4771 then 2
        when event_id = 4776 then 1
        when lower(authentication_package_name) = 'kerberos' then 2
        when lower(authentication_package_name) in ('ntlm', 'microsoft_authentication_package_v1_0') or lm_package_name is not null then 1
        when lower(authentication_package_name) in ('wdigest', 'digest') then 3
        when authentication_package_name is not null then 99
    end as auth_protocol_id,
    -- A package that OCSF does not list is named as Windows names it: Negotiate says only that the parties chose.
    case when event_id not between 4768 and 4776
        and lower(authentication_package_name) not in ('kerberos', 'ntlm', 'microsoft_authentication_package_v1_0', 'wdigest', 'digest')
        and lm_package_name is null then authentication_package_name end as auth_protocol,
    {{ windows_process("process_name", "nullif(process_id, '0x0')") }} as logon_process,
    case
        when try_cast(logon_type as integer) in (10, 12) then true
        -- A computer also logs on to itself over the network stack: without an address nothing is known.
        when try_cast(logon_type as integer) in (3, 8) then client_ip not in ('127.0.0.1', '::1')
        when logon_type is not null then false
    end as is_remote,
    case when logon_type is not null then try_cast(logon_type as integer) = 8 end as is_cleartext,
    {{ observables([
        observable("user.name", 4, "target_user_name"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("src_endpoint.hostname", 1, "client_name"),
        observable("dst_endpoint.hostname", 1, "server_name"),
        observable("logon_process.name", 9, windows_file_name("process_name")),
    ]) }} as observables,
    {{ windows_unmapped({
        "LogonType": "case when event_id not in (4624, 4625, 4634, 4647) then logon_type end",
        "LogonProcessName": "logon_process_name", "LmPackageName": "lm_package_name", "KeyLength": "key_length",
        "AuthenticationPackageName": "authentication_package_name", "PackageName": "package_name",
        "TransmittedServices": "transmitted_services", "ImpersonationLevel": "impersonation_level",
        "RestrictedAdminMode": "restricted_admin_mode", "RemoteCredentialGuard": "remote_credential_guard",
        "VirtualAccount": "virtual_account", "ElevatedToken": "elevated_token", "FailureReason": "failure_reason",
        "Status": "case when sub_status <> '0x0' then status end", "TargetLinkedLogonId": "nullif(target_linked_logon_id, '0x0')",
        "TargetOutboundUserName": "target_outbound_user_name", "TargetOutboundDomainName": "target_outbound_domain_name",
        "TargetLogonGuid": "nullif(target_logon_guid, '{00000000-0000-0000-0000-000000000000}')", "TargetServerName": "target_server_name", "TargetInfo": "target_info",
        "IpAddress": "case when client_ip is null then ip_address end", "TicketOptions": "ticket_options",
        "TicketEncryptionType": "ticket_encryption_type", "PreAuthType": "pre_auth_type",
        "CertIssuerName": "cert_issuer_name", "CertSerialNumber": "cert_serial_number", "CertThumbprint": "cert_thumbprint",
    }) }} as unmapped,
    {{ windows_event() }}
from events
