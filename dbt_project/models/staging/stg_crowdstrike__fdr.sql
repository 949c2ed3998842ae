-- One row per landed Falcon event: its header and its values under plain names.
with bronze as (
    select *, {{ fdr_nested_event() }} as nested_event
    from {{ source("bronze", "crowdstrike_fdr") }}
),

named as (
    select *,
        -- kept apart, the event names itself
        coalesce(nullif(trim(nested_event.event_simpleName), ''), {{ fdr_value("event_simpleName") }}) as event_name,
        -- An event that the sensor blocked, or that it reports a detection with, has the name of its kind with a word
        -- in it: NetworkConnectIP4Blocked, DNSRequestDetectInfo.
        coalesce(contains(event_name, 'Blocked'), false) as is_blocked,
        coalesce(contains(event_name, 'DetectInfo'), false) as is_detection,
        case
            when is_blocked or is_detection
                then regexp_replace(regexp_replace(event_name, 'Blocked|DetectInfo', '', 'g'), '^DNS', 'Dns')
            else event_name
        end as family,
        {{ fdr_value("event_platform") }} as platform,
        {{ fdr_value("aip") }} as aip_text,
        {{ fdr_value("LocalAddressIP4") }} as local_text,
        {{ fdr_value("RemoteAddressIP4") }} as remote_text
    from bronze
),

first_addresses as (
    select *,
        -- behind proxies addresses come as lists, the host's own first
        {{ fdr_first("aip_text") }} as first_aip,
        {{ fdr_first("local_text") }} as first_local,
        {{ fdr_first("remote_text") }} as first_remote
    from named
),

located as (
    select *,
        coalesce(
            case when event_name like '%IP6%' then {{ fdr_ip(fdr_value("LocalAddressIP6")) }} end,
            {{ fdr_ip("first_local") }}, {{ fdr_ip(fdr_value("LocalAddressIP6")) }}
        ) as local_ip,
        {{ fdr_ip("first_aip") }} as public_ip
    from first_addresses
)

select
    -- event: kinds that only a part of their names holds together get that part in front
    case
        -- The Falcon cloud's detections do not always name their kind; what they have is an id of their own.
        when event_name is null
            then case
                when regexp_matches(_raw, '"(CompositeId|DetectId|composite_id)"') then 'DetectionSummary:'
                else 'unnamed'
            end
        when contains(family, 'DetectionSummary') or contains(family, 'DetectionInfoEvent')
            then 'DetectionSummary:' || family
        when family like '%Written' or contains(family, 'FileWritten') then 'FileWritten:' || family
        when contains(family, 'InjectedThread') then 'InjectedThread:' || family
        when contains(family, 'ModuleLoad') then 'ModuleLoad:' || family
        when contains(family, 'ProcessHandle') then 'ProcessHandle:' || family
        when family like '%HandleFromUnsignedModule' then 'ProcessHandle:' || family
        when starts_with(family, 'Reg') and family like '%ValueUpdate' then 'RegValueUpdate:' || family
        when family like '%AuditEvent'
            then 'AuditEvent:' || coalesce(json_extract_string(coalesce(event, _raw), '$.OperationName'), '')
        when starts_with(family, 'Event_') then regexp_replace(family, '^Event_([A-Z])', '\1')
        else family
    end as event_type,
    event_name,
    case
        when event is not null and nested_event.event_simpleName is null then 'Falcon Event Streams'
        else 'Falcon Data Replicator'
    end as log_name,
    case when is_blocked then 2 else 1 end as status_id,
    case when is_blocked then 2 when is_detection then 3 end as action_id,
    case when is_blocked then 2 when is_detection then 15 end as disposition_id,
    {{ fdr_attacks("Attacks", "nested_event.Attacks") }} as attacks,
    {{ fdr_value("id") }} as id,
    nullif({{ fdr_value("aid") }}, '0') as aid,
    {{ fdr_value("cid") }} as cid,
    -- the text that the event time was read from
    coalesce(
        case
            when {{ fdr_value("ContextTimeStamp") }} like '____-__-__%' then {{ fdr_value("ContextTimeStamp") }}
            when try_cast({{ fdr_value("ContextTimeStamp") }} as double) >= 1 then {{ fdr_value("ContextTimeStamp") }}
        end,
        {{ fdr_value("timestamp") }},
        {{ fdr_value("Time") }},
        {{ fdr_value("_time") }}
    ) as original_time,
    {{ fdr_value("ConfigBuild") }} as sensor_build,
    nullif({{ fdr_value("TreeId") }}, '0') as tree_id,
    -- The stream has no severities; names say what the sensor itself finds suspicious.
    case when event_name like 'Suspicious%' or is_detection or is_blocked then 2 else 1 end as severity_id,

    -- host
    -- in a STRUCT HostName cannot stand beside Hostname
    coalesce(
        {{ fdr_value("ComputerName") }}, nullif(json_extract_string(event, '$.HostName'), '')
    ) as computer_name,
    coalesce(
        case when local_ip not like '127.%' and local_ip not in ('::1', '0:0:0:0:0:0:0:1') then local_ip end, public_ip
    ) as device_ip,
    local_ip,
    public_ip,
    case platform
        when 'Win' then 100 when 'Lin' then 200 when 'Android' then 201 when 'And' then 201
        when 'Mac' then 300 when 'iOS' then 301
        else case when platform is not null then 99 end
    end as os_type_id,
    case platform
        when 'Win' then 'Windows' when 'Lin' then 'Linux' when 'And' then 'Android' when 'Mac' then 'macOS'
        else platform
    end as os_name,

    -- processes
    nullif({{ fdr_value("TargetProcessId") }}, '0') as target_process_id,
    nullif({{ fdr_value("ContextProcessId") }}, '0') as context_process_id,
    nullif({{ fdr_value("ParentProcessId") }}, '0') as parent_process_id,
    nullif({{ fdr_value("SourceProcessId") }}, '0') as source_process_id,
    nullif({{ fdr_value("RpcClientProcessId") }}, '0') as rpc_client_process_id,
    {{ fdr_number(fdr_value("RawProcessId"), 1, 2147483647) }} as raw_process_id,
    {{ fdr_value("ImageFileName") }} as image_file_name,
    {{ fdr_value("CommandLine") }} as command_line,
    {{ fdr_value("ParentBaseFileName") }} as parent_base_file_name,
    {{ fdr_value("ParentImageFileName") }} as parent_image_file_name,
    {{ fdr_value("ParentCommandLine") }} as parent_command_line,
    {{ fdr_value("ContextBaseFileName") }} as context_base_file_name,
    {{ fdr_value("ContextImageFileName") }} as context_image_file_name,
    {{ fdr_value("TargetImageFileName") }} as target_image_file_name,
    {{ fdr_value("TargetProcessCommandLine") }} as target_command_line,
    {{ fdr_value("ProcessStartTime") }} as process_start_time,
    {{ fdr_value("IntegrityLevel") }} as integrity_level,
    {{ fdr_value("SessionId") }} as session_id,
    nullif({{ fdr_value("AuthenticationId") }}, '0') as authentication_id,
    {{ fdr_value("ExitCode") }} as exit_code,
    {{ fdr_value("DesiredAccess") }} as desired_access,
    {{ fdr_value("InjectedDll") }} as injected_dll,
    {{ fdr_value("TargetThreadModule") }} as target_thread_module,
    {{ fdr_value("ThreadStartAddress") }} as thread_start_address,

    -- binaries
    {{ fdr_value("SHA256HashData") }} as sha256,
    {{ fdr_value("SHA1HashData") }} as sha1,
    {{ fdr_value("MD5HashData") }} as md5,
    {{ fdr_value("SignInfoFlags") }} as sign_info_flags,
    {{ fdr_value("OriginalFilename") }} as original_file_name,
    {{ fdr_value("CompanyName") }} as company_name,
    {{ fdr_value("FileVersion") }} as file_version,

    -- users and logons
    {{ fdr_value("UserName") }} as user_name,
    coalesce({{ fdr_value("UserSid") }}, {{ fdr_value("FileOperatorSid") }}, {{ fdr_value("UID") }}) as user_uid,
    {{ fdr_value("UserPrincipal") }} as user_principal,
    {{ fdr_value("LogonDomain") }} as logon_domain,
    {{ fdr_value("LogonType") }} as logon_type,
    {{ fdr_value("LogonTime") }} as logon_time,
    {{ fdr_value("AuthenticationPackage") }} as authentication_package,
    {{ fdr_value("ClientComputerName") }} as client_computer_name,
    {{ fdr_value("Status") }} as nt_status,
    {{ fdr_value("SubStatus") }} as nt_sub_status,

    -- network and DNS
    {{ fdr_value("LocalAddressIP4") }} as local_address_ip4,
    {{ fdr_value("LocalAddressIP6") }} as local_address_ip6,
    coalesce(
        {{ fdr_ip("first_remote") }}, {{ fdr_ip(fdr_value("RemoteAddressIP6")) }}
    ) as remote_ip,
    {{ fdr_number(fdr_value("LocalPort"), 1, 65535) }} as local_port,
    {{ fdr_number(fdr_value("RemotePort"), 1, 65535) }} as remote_port,
    coalesce(
        {{ fdr_number(fdr_value("Protocol"), 0, 255) }},
        case upper({{ fdr_value("Protocol") }})
            when 'ICMP' then 1 when 'TCP' then 6 when 'UDP' then 17 when 'ICMPV6' then 58
        end
    ) as protocol_number,
    {{ fdr_value("ConnectionDirection") }} as connection_direction,
    {{ fdr_value("DomainName") }} as domain_name,
    {{ fdr_value("RequestType") }} as request_type,
    {{ fdr_value("IP4Records") }} as ip4_records,
    {{ fdr_value("IP6Records") }} as ip6_records,
    {{ fdr_value("CNAMERecords") }} as cname_records,
    {{ fdr_value("QueryStatus") }} as query_status,
    {{ fdr_value("RespondingDnsServer") }} as responding_dns_server,

    -- files, scripts, tasks, registry
    {{ fdr_value("TargetFileName") }} as target_file_name,
    {{ fdr_value("SourceFileName") }} as source_file_name,
    {{ fdr_value("TargetDirectoryName") }} as target_directory_name,
    {{ fdr_value("Size") }} as file_size,
    {{ fdr_value("ScriptContent") }} as script_content,
    {{ fdr_value("ScriptContentName") }} as script_content_name,
    {{ fdr_value("ContentSHA256HashData") }} as content_sha256,
    {{ fdr_value("OriginalContentLength") }} as original_content_length,
    {{ fdr_value("TaskName") }} as task_name,
    {{ fdr_value("TaskExecCommand") }} as task_exec_command,
    {{ fdr_value("TaskExecArguments") }} as task_exec_arguments,
    {{ fdr_value("RegObjectName") }} as reg_object_name,
    {{ fdr_value("RegValueName") }} as reg_value_name,
    {{ fdr_value("RegType") }} as reg_type,
    {{ fdr_value("RegOperationType") }} as reg_operation_type,
    {{ fdr_value("RegStringValue") }} as reg_string_value,
    {{ fdr_value("RegNumericValue") }} as reg_numeric_value,

    -- as delivered
    event,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from located
