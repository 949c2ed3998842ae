-- One row per landed Windows event: its header, its event data under plain names, whatever the collector's layout.
{% set texts = {} %}
{%- for name, type in bronze_types()["windows_event"] if type == "VARCHAR" -%}
    {% do texts.update({name: type}) %}
{%- endfor -%}

with bronze as (
    select
        *,
        -- event data that a collector keeps together (all but NXLog and Export-WinEvents), parsed once a row
        json_transform(EventData, '{{ tojson(texts) }}') as event_data_fields
    from {{ source("bronze", "windows_event") }}
),

named as (
    select
        *,
        -- by the provider, since a forwarded event stands in another log; else by the log
        case lower(SourceName)
            when 'microsoft-windows-security-auditing' then 'security'
            when 'microsoft-windows-sysmon' then 'sysmon'
            when 'microsoft-windows-eventlog' then case when EventID = 104 then 'system' else 'security' end
            -- rows of Defender's tables tell of the same events, and have their numbers
            when 'microsoft defender for endpoint'
                then case
                    when EventID in (4624, 4625) then 'security' when EventID = 0 then 'endpoint' else 'sysmon'
                end
            {% set logs = {
                "microsoft-windows-powershell": "powershell",
                "powershellcore": "powershell",
                "powershell": "windows_powershell",
                "service control manager": "system",
                "microsoft-windows-windows defender": "defender",
                "microsoft-windows-taskscheduler": "task_scheduler",
                "microsoft-windows-wmi-activity": "wmi",
                "microsoft-windows-terminalservices-localsessionmanager": "terminal_services",
                "microsoft-windows-terminalservices-remoteconnectionmanager": "terminal_services",
                "microsoft-windows-bits-client": "bits",
                "microsoft-windows-applocker": "applocker",
                "microsoft-windows-codeintegrity": "code_integrity",
                "microsoft-windows-windows firewall with advanced security": "firewall",
            } -%}
            {% for provider, log in logs.items() -%}
            when '{{ provider }}' then '{{ log }}'
            {% endfor -%}
            else case lower(split_part(Channel, '/', 1))
                when 'microsoft-windows-sysmon' then 'sysmon'
                when 'windows powershell' then 'windows_powershell'
                {% for provider, log in logs.items() if provider not in ("powershell", "service control manager") -%}
                when '{{ provider }}' then '{{ log }}'
                {% endfor -%}
                else lower(Channel)
            end
        end as log
    from bronze
)

select
    -- event
    case
        when log = 'sysmon' and EventID in (12, 14)
            then concat_ws(':', log, EventID, lower(case
                -- NXLog's header has a field of the same name; then the text alone tells it
                when {{ event_value("EventType") }} in ('INFO', 'WARNING', 'ERROR', 'VERBOSE', 'DEBUG', 'CRITICAL')
                    then nullif(regexp_extract(Message, '\nEventType: (\w+)', 1), '')
                else {{ event_value("EventType") }}
            end))
        when log = 'security' and EventID in (4656, 4663, 4670)
            then concat_ws(':', log, EventID, lower({{ event_value("ObjectType") }}))
        when log = 'endpoint' then 'endpoint:' || lower(replace(EventType, ' ', ''))
        else log || ':' || EventID
    end as event_type,
    EventID as event_id,
    case when SourceName = 'Microsoft Defender for Endpoint' then EventType else EventID::varchar end as event_code,
    Channel as channel,
    SourceName as provider_name,
    Hostname as computer_name,
    RecordNumber as record_number,
    coalesce(Severity, Level) as level,
    case
        when log = 'security' then 1
        when lower(Severity) = 'critical' or lower(Level) in ('1', 'critical') then 5
        when lower(Severity) = 'error' or lower(Level) in ('2', 'error') then 4
        when lower(Severity) = 'warning' or lower(Level) in ('3', 'warning') then 3
        else 1
    end as severity_id,
    {{ audit_status() }} as status_id,
    Category as category,
    Keywords as keywords,
    {{ event_value("RuleName") }} as rule_name,
    Message as message_text,
    rtrim(split_part(Message, chr(10), 1), ' ' || chr(13)) as message,
    coalesce(UtcTime, EventTime, TimeCreated, "@timestamp") as original_time,
    ActivityID as correlation_uid,
    UserID as account_sid,
    AccountName as account_name,
    Domain as account_domain,
    -- Export-WinEvents has nothing of who wrote the event: its ProcessID is event data
    (
        _record is null and EventTime is null and ThreadID is null and ExecutionProcessID is not null
    ) as has_bare_process_id,
    case when not has_bare_process_id then ExecutionProcessID end as execution_process_id,

    -- actor and target account (Security)
    {{ event_value("SubjectUserSid") }} as subject_user_sid,
    {{ event_value("SubjectUserName") }} as subject_user_name,
    {{ event_value("SubjectDomainName") }} as subject_domain_name,
    {{ event_value("SubjectLogonId") }} as subject_logon_id,
    {{ event_value("TargetUserSid") }} as target_user_sid,
    {{ event_value("TargetUserName") }} as target_user_name,
    {{ event_value("TargetDomainName") }} as target_domain_name,
    {{ event_value("TargetLogonId") }} as target_logon_id,
    {{ event_value("TargetSid") }} as target_sid,
    {{ event_value("TargetLogonGuid") }} as target_logon_guid,
    {{ event_value("TargetLinkedLogonId") }} as target_linked_logon_id,
    {{ event_value("TargetOutboundUserName") }} as target_outbound_user_name,
    {{ event_value("TargetOutboundDomainName") }} as target_outbound_domain_name,
    {{ event_value("TargetServerName") }} as target_server_name,
    {{ event_value("TargetInfo") }} as target_info,
    {{ event_value("MemberName") }} as member_name,
    {{ event_value("MemberSid") }} as member_sid,
    {{ event_value("SamAccountName") }} as sam_account_name,
    {{ event_value("DisplayName") }} as display_name,
    {{ event_value("UserPrincipalName") }} as user_principal_name,
    {{ event_value("OldTargetUserName") }} as old_target_user_name,
    {{ event_value("NewTargetUserName") }} as new_target_user_name,
    {{ event_value("UserAccountControl") }} as user_account_control,
    {{ event_value("PasswordLastSet") }} as password_last_set,
    {{ event_value("SidHistory") }} as sid_history,
    {{ event_value("UserWorkstations") }} as user_workstations,
    {{ event_value("PrivilegeList") }} as privilege_list,

    -- logon
    {{ event_value("LogonType") }} as logon_type,
    {{ event_value("LogonGuid") }} as logon_guid,
    {{ event_value("LogonProcessName") }} as logon_process_name,
    {{ event_value("AuthenticationPackageName") }} as authentication_package_name,
    {{ event_value("LmPackageName") }} as lm_package_name,
    {{ event_value("KeyLength") }} as key_length,
    {{ event_value("TransmittedServices") }} as transmitted_services,
    {{ event_value("ImpersonationLevel") }} as impersonation_level,
    {{ event_value("RestrictedAdminMode") }} as restricted_admin_mode,
    {{ event_value("RemoteCredentialGuard") }} as remote_credential_guard,
    {{ event_value("VirtualAccount") }} as virtual_account,
    {{ event_value("ElevatedToken") }} as elevated_token,
    {{ event_value("WorkstationName") }} as workstation_name,
    {{ event_value("Workstation") }} as workstation,
    {{ event_value("IpAddress") }} as ip_address,
    {{ event_value("IpPort") }} as ip_port,
    {{ event_value("Status") }} as logged_status,
    {{ event_value("SubStatus") }} as sub_status,
    {{ event_value("FailureReason") }} as failure_reason,
    {{ event_value("FailureCode") }} as failure_code,
    {{ event_value("PackageName") }} as package_name,
    {{ event_value("ServiceName") }} as service_name,
    {{ event_value("ServiceSid") }} as service_sid,
    {{ event_value("TicketOptions") }} as ticket_options,
    {{ event_value("TicketEncryptionType") }} as ticket_encryption_type,
    {{ event_value("PreAuthType") }} as pre_auth_type,
    {{ event_value("CertIssuerName") }} as cert_issuer_name,
    {{ event_value("CertSerialNumber") }} as cert_serial_number,
    {{ event_value("CertThumbprint") }} as cert_thumbprint,

    -- process
    {{ event_value("NewProcessId") }} as new_process_id,
    {{ event_value("NewProcessName") }} as new_process_name,
    -- NXLog's names have no case: the header's ProcessID hides the event's ProcessId, which the text tells
    coalesce(
        {{ event_value("ProcessId") }},
        case
            when has_bare_process_id then ExecutionProcessID::varchar
            when _record is null and EventTime is not null and log in ('sysmon', 'security') and EventID <> 4673
                then nullif(nullif(regexp_extract(Message, '\n\s*(?:' || concat_ws('|',
                    '(?:(?:Creator|Caller|Client) )?Process ?I[Dd]', 'ID du processus(?: [^:\n]{1,20})?',
                    '(?:Erstellerp|P)rozess-ID'
                ) || ')[^0-9\n]{1,8}(0x[0-9a-fA-F]+|[0-9]+)', 1), ''), '0x0')
        end
    ) as process_id,
    {{ event_value("ProcessName") }} as process_name,
    {{ event_value("ProcessGuid") }} as process_guid,
    {{ event_value("Image") }} as image,
    {{ event_value("CommandLine") }} as command_line,
    {{ event_value("CurrentDirectory") }} as current_directory,
    {{ event_value("User") }} as user_account,
    {{ event_value("LogonId") }} as logon_id,
    {{ event_value("TerminalSessionId") }} as terminal_session_id,
    {{ event_value("IntegrityLevel") }} as integrity_level,
    {{ event_value("MandatoryLabel") }} as mandatory_label,
    {{ event_value("TokenElevationType") }} as token_elevation_type,
    {{ event_value("ParentProcessGuid") }} as parent_process_guid,
    {{ event_value("ParentProcessId") }} as parent_process_id,
    {{ event_value("ParentProcessName") }} as parent_process_name,
    {{ event_value("ParentImage") }} as parent_image,
    {{ event_value("ParentCommandLine") }} as parent_command_line,
    {{ event_value("ParentUser") }} as parent_user,

    -- process that acts on another (Sysmon 8, 10)
    {{ event_value("SourceProcessId") }} as source_process_id,
    {{ event_value("SourceProcessGUID") }} as source_process_guid,
    {{ event_value("SourceThreadId") }} as source_thread_id,
    {{ event_value("SourceImage") }} as source_image,
    {{ event_value("SourceUser") }} as source_user,
    {{ event_value("TargetProcessId") }} as target_process_id,
    {{ event_value("TargetProcessGUID") }} as target_process_guid,
    {{ event_value("TargetImage") }} as target_image,
    {{ event_value("TargetUser") }} as target_user,
    {{ event_value("GrantedAccess") }} as granted_access,
    {{ event_value("CallTrace") }} as call_trace,
    {{ event_value("NewThreadId") }} as new_thread_id,
    {{ event_value("StartAddress") }} as start_address,
    {{ event_value("StartModule") }} as start_module,
    {{ event_value("StartFunction") }} as start_function,

    -- file and module
    {{ event_value("ImageLoaded") }} as image_loaded,
    {{ event_value("TargetFilename") }} as target_filename,
    {{ event_value("FileVersion") }} as file_version,
    {{ event_value("Description") }} as file_description,
    {{ event_value("Product") }} as file_product,
    {{ event_value("Company") }} as file_company,
    {{ event_value("OriginalFileName") }} as original_file_name,
    {{ event_value("Hashes") }} as hashes,
    {{ event_value("Hash") }} as hash,
    {{ event_value("Signed") }} as signed,
    {{ event_value("Signature") }} as signature,
    {{ event_value("SignatureStatus") }} as signature_status,
    {{ event_value("CreationUtcTime") }} as creation_utc_time,
    {{ event_value("PreviousCreationUtcTime") }} as previous_creation_utc_time,
    {{ event_value("IsExecutable") }} as is_executable,
    {{ event_value("Archived") }} as archived,
    {{ event_text("Contents") }} as contents,

    -- object, registry
    {{ event_value("ObjectServer") }} as object_server,
    {{ event_value("ObjectName") }} as object_name,
    {{ event_value("HandleId") }} as handle_id,
    {{ event_value("AccessList") }} as access_list,
    {{ event_value("AccessMask") }} as access_mask,
    {{ event_value("AccessReason") }} as access_reason,
    {{ event_value("ShareName") }} as share_name,
    {{ event_value("ShareLocalPath") }} as share_local_path,
    {{ event_value("RelativeTargetName") }} as relative_target_name,
    {{ event_text("TargetObject") }} as target_object,
    {{ event_text("Details") }} as registry_details,
    {{ event_text("NewName") }} as new_name,

    -- network
    {{ event_value("Protocol") }} as protocol,
    {{ event_value("Initiated") }} as initiated,
    {{ event_value("Direction") }} as direction,
    {{ event_value("Application") }} as application,
    {{ event_value("SourceIp") }} as source_ip,
    {{ event_value("SourceHostname") }} as source_hostname,
    {{ event_value("SourcePort") }} as source_port,
    {{ event_value("SourcePortName") }} as source_port_name,
    {{ event_value("SourceAddress") }} as source_address,
    {{ event_value("DestinationIp") }} as destination_ip,
    {{ event_value("DestinationHostname") }} as destination_hostname,
    {{ event_value("DestinationPort") }} as destination_port,
    {{ event_value("DestinationPortName") }} as destination_port_name,
    {{ event_value("DestAddress") }} as dest_address,
    {{ event_value("DestPort") }} as dest_port,
    {{ event_value("LayerName") }} as layer_name,
    {{ event_value("FilterRTID") }} as filter_runtime_id,
    {{ event_value("QueryName") }} as query_name,
    {{ event_value("QueryStatus") }} as query_status,
    {{ event_value("QueryResults") }} as query_results,

    -- service, task, script
    {{ event_value("ServiceFileName") }} as service_file_name,
    {{ event_value("ImagePath") }} as image_path,
    {{ event_value("ServiceType") }} as service_type,
    {{ event_value("ServiceStartType") }} as service_start_type,
    {{ event_value("StartType") }} as start_type,
    {{ event_value("ServiceAccount") }} as service_account,
    {{ event_value("TaskName") }} as task_name,
    {{ event_text("TaskContent") }} as task_content,
    {{ event_text("TaskContentNew") }} as task_content_new,
    {{ event_text("ScriptBlockText") }} as script_block_text,
    {{ event_value("ScriptBlockId") }} as script_block_id,
    {{ event_value("MessageNumber") }} as message_number,
    {{ event_value("MessageTotal") }} as message_total,
    {{ event_value("Path") }} as script_path,
    {{ event_text("ContextInfo") }} as context_info,
    {{ event_text("Payload") }} as payload,

    -- as delivered
    EventData as event_data,
    UserData as user_data,

    -- pipeline; from here on a record is its JSON, however it was delivered
    coalesce(_record, _raw) as _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row,
    _content_hash
from named
