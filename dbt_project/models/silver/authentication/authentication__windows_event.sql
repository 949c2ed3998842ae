-- Logons, logoffs, and checks of Kerberos, NTLM and RADIUS (Security 4624, 4625, 4634, 4647-4649, 4768-4777, 4800-4803,
-- 6272-6278; Terminal Services 21, 23, 1149).
with read as (
    select
        *,
        event_id between 4768 and 4773 as is_kerberos,
        coalesce(event_type like 'terminal_services:%', false) as is_remote_desktop,
        event_id in (6272, 6273, 6274, 6278) as is_radius,
        case
            when event_id between 4768 and 4773 then {{ undeclared_fields(["ResponseTicketHash", "ResponseTicket"]) }}
        end
            as ticket,
        case when is_remote_desktop or is_radius or event_id between 4774 and 4803 then {{ undeclared_fields([
            "User", "SessionID", "Address", "Param1", "Param2", "Param3", "SessionId", "MappedName", "ClientUserName",
            "FullyQualifiedSubjectUserName", "CallingStationID", "CalledStationID", "NASIPv4Address", "NASIdentifier",
            "ReasonCode", "Reason", "ClientIPAddress", "ClientName", "AuthenticationType",
        ]) }} end as fields
    from {{ ref("windows_event") }}
    where class_uid = 3002
),

named as (
    select
        * replace (
            -- Terminal Services write DOMAIN\name in one field; 1149 splits it
            case
                when event_id = 1149 then {{ field("Param1") }}
                when is_remote_desktop then regexp_extract(coalesce({{ field("User") }}, user_account), '[^\\]+$')
                when is_radius then subject_user_name
                when event_id in (4774, 4775, 4777) then coalesce(target_user_name, {{ field("ClientUserName") }})
                else target_user_name
            end as target_user_name,
            case
                when event_id = 1149 then {{ field("Param2") }}
                when is_remote_desktop
                    then nullif(regexp_extract(coalesce({{ field("User") }}, user_account), '^([^\\]+)\\', 1), '')
                when is_radius then subject_domain_name
                else target_domain_name
            end as target_domain_name,
            case
                when is_remote_desktop then {{ field("SessionID") }}
                when event_id between 4800 and 4803 then coalesce(target_logon_id, {{ field("SessionId") }})
                else target_logon_id
            end as target_logon_id,
            case
                when is_remote_desktop
                    then
                        nullif(
                            coalesce({{ field("Address") }}, case when event_id = 1149 then {{ field("Param3") }} end),
                            'LOCAL'
                        )
                when is_radius then {{ field("CallingStationID") }}
                else ip_address
            end as ip_address,
            case when is_radius then subject_user_sid else target_user_sid end as target_user_sid
        )
    from read
),

events as (
    select
        *,
        event_id in (4624, 4625, 4634, 4647) or is_remote_desktop as is_logon,
        event_id in (4776, 4777) as is_ntlm_check,
        coalesce(
            try_cast(logon_type as integer),
            -- words, where a collector renders the number
            case lower(logon_type)
                when 'system' then 0 when 'interactive' then 2 when 'network' then 3 when 'batch' then 4
                when 'service' then 5 when 'unlock' then 7 when 'networkcleartext' then 8 when 'newcredentials' then 9
                when 'remoteinteractive' then 10 when 'cachedinteractive' then 11 when 'cachedremoteinteractive' then 12
                when 'cachedunlock' then 13
            end,
            -- Terminal Services: a session with an address is a remote one
            case when is_remote_desktop and event_id <> 23 and ip_address is not null then 10 end
        ) as logon_type_number,
        lower(authentication_package_name) as package,
        nullif(sub_status, '0x0') as sub_code,
        coalesce(
            nullif(sub_status, '0x0'),
            logged_status,
            failure_code,
            case when is_radius then {{ field("ReasonCode") }} end
        ) as status_code,
        try_cast(ticket_encryption_type as integer) as encryption_type,
        case
            when is_kerberos or is_ntlm_check then coalesce(target_sid, target_user_sid)
            else target_user_sid
        end as user_sid,
        {{ ip_or_null("ip_address") }} as client_ip,
        coalesce(
            workstation_name,
            ltrim(workstation, '\'),
            case when is_remote_desktop and client_ip is null then ip_address end
        ) as client_name,
        case
            when event_id = 4648 and lower(target_server_name) <> 'localhost' then target_server_name
            else computer_name
        end as server_name,
        {{ windows_process("process_name", "nullif(process_id, '0x0')") }} as logon_process
    from named
)

select
    activity_id,
    case event_id
        when 4774 then 'Map Account' when 4775 then 'Map Account' when 4800 then 'Lock' when 4801 then 'Unlock'
        when 4802 then 'Screen Saver Start' when 4803 then 'Screen Saver End'
    end as activity_name,
    severity_id,
    case
        when event_id in (4625, 4649, 4771, 4772, 4773, 4775, 4777, 6273, 6274) then 2
        when is_remote_desktop and status_id = 0 then 1
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
    case when computer_name is not null then device end as device, -- a sign-in to a service of the cloud has none
    -- the name is what the client says of itself
    {
        'ip': client_ip,
        'port': case when client_ip is not null then {{ windows_port("ip_port") }} end,
        'hostname': client_name
    } as src_endpoint,
    {'hostname': server_name, 'name': case when server_name is null then 'Unknown' end} as dst_endpoint,
    case when is_kerberos then {'name': service_name, 'uid': nullif(service_sid, 'S-1-0-0')} end as service,
    -- OCSF names the ticket options of 4769 as kerberos_flags. Encryption types: RFC 3961 and 4757, as Microsoft lists
    -- them for 4768; 0xffffffff stands for a failure.
    {
        'uid': coalesce(nullif(ticket."ResponseTicketHash", 'N/A'), nullif(ticket."ResponseTicket", 'N/A')),
        'type_id': case
            when event_id in (4768, 4771, 4772) then 1 when event_id in (4769, 4770, 4773) then 2
        end,
        'type': case
            when event_id in (4768, 4771, 4772) then 'Ticket Granting Ticket'
            when event_id in (4769, 4770, 4773) then 'Service Ticket'
        end,
        'kerberos_flags': ticket_options,
        'encryption_details': {
            'algorithm_id': case
                when encryption_type in (1, 2, 3) then 1
                when encryption_type in (5, 7, 16) then 2
                when encryption_type in (17, 18, 19, 20) then 3
                when encryption_type in (23, 24) then 99
            end,
            'algorithm': case
                when encryption_type in (1, 2, 3) then 'DES'
                when encryption_type in (5, 7, 16) then 'TripleDES'
                when encryption_type in (17, 18, 19, 20) then 'AES'
                when encryption_type in (23, 24) then 'RC4'
            end,
            'key_length': case encryption_type when 17 then 128 when 18 then 256 when 19 then 128 when 20 then 256 end,
            'type': case encryption_type
                when 1 then 'DES-CBC-CRC'
                when 3 then 'DES-CBC-MD5'
                when 17 then 'AES128-CTS-HMAC-SHA1-96'
                when 18 then 'AES256-CTS-HMAC-SHA1-96'
                when 23 then 'RC4-HMAC'
                when 24 then 'RC4-HMAC-EXP'
            end
        }
    } as authentication_token,
    case
        when cert_issuer_name is not null and cert_serial_number is not null then {
            'issuer': cert_issuer_name,
            'serial_number': cert_serial_number,
            'fingerprints': case
                when cert_thumbprint is not null
                    then [{'algorithm_id': 2, 'algorithm': 'SHA-1', 'value': cert_thumbprint}]
            end
        }
    end as certificate,
    {
        'uid': nullif(target_logon_id, '0x0'),
        'uid_alt': nullif(nullif(lower(logon_guid), '{00000000-0000-0000-0000-000000000000}'), '')
    } as session,
    case
        when not is_logon then null
        when is_remote_desktop and logon_type_number is null then null
        when logon_type_number = 0 then 1 -- System
        when logon_type_number in (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13) then logon_type_number
        when logon_type is not null then 99
        else 0
    end as logon_type_id,
    case
        when is_kerberos then 2
        when is_ntlm_check then 1
        when is_radius then 10
        when event_id = 4649 then 2
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
        when logon_type_number is not null then false
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
        'TicketEncryptionType': ticket_encryption_type,
        'PreAuthType': pre_auth_type,
        'Reason': case when is_radius then {{ field("Reason") }} end
    })) as unmapped
from events
left join {{ ref("windows_status_codes") }} as codes on codes.code = lower(coalesce(logged_status, failure_code))
left join {{ ref("windows_status_codes") }} as sub_codes on sub_codes.code = lower(sub_code)
