-- Detections that the Falcon cloud writes as summaries, and what sensors blocked or detected that has no class of its
-- own. They name the host, the process and its file; those of identities an account and the two ends of what it did.
-- Fields that the contract does not declare are read from the record itself.
with read as (
    select
        *
        {%- for name, others in {
            "detection_uid": ["CompositeId", "DetectId", "EventUUID", "composite_id", "IdentityProtectionIncidentId",
                "IncidentID"],
            "title": ["DisplayName", "display_name", "DetectName", "Name", "IncidentDescription", "RuleName"],
            "description": ["DetectDescription", "Description", "description", "IncidentDescription"],
            "severity_name": ["SeverityName", "severity_name"],
            "severity_number": ["Severity", "severity", "ThreatgraphIndicators[0].Severity"],
            "tactic": ["Tactic", "tactic", "Tactics", "MitreAttack[0].tactic", "MitreAttack[0].Tactic"],
            "tactic_uid": ["tactic_id", "TacticId", "TacticIds", "MitreAttack[0].tactic_id",
                "MitreAttack[0].TacticID"],
            "technique": ["Technique", "technique", "Techniques", "MitreAttack[0].technique",
                "MitreAttack[0].Technique"],
            "technique_uid": ["technique_id", "TechniqueId", "TechniqueIds", "MitreAttack[0].technique_id",
                "MitreAttack[0].TechniqueID"],
            "link": ["FalconHostLink", "falcon_host_link"],
            "disposition_text": ["PatternDispositionDescription", "pattern_disposition_description"],
            "file_name": ["FileName", "filename"],
            "file_path": ["FilePath", "filepath", "ImageFileName"],
            "domain_name": ["DomainName"],
            "file_sha256": ["SHA256String", "sha256", "SHA256HashData"],
            "file_sha1": ["SHA1String", "sha1", "SHA1HashData"],
            "file_md5": ["MD5String", "md5", "MD5HashData"],
            "process_id": ["ProcessId", "process_id", "TargetProcessId", "ContextProcessId"],
            "process_start": ["ProcessStartTime", "process_start_time"],
            "command": ["CommandLine", "cmdline"],
            "parent_uid": ["ParentProcessId", "parent_process_id", "parent_details.process_id"],
            "parent_path": ["ParentImageFilePath", "ParentImageFileName", "parent_details.filepath",
                "parent_details.filename"],
            "parent_command": ["ParentCommandLine", "parent_details.cmdline"],
            "pattern_uid": ["PatternId", "pattern_id"],
            "indicator_type": ["IOCType", "ioc_type"],
            "indicator": ["IOCValue", "ioc_value"],
            "host_name": ["Hostname", "ComputerName", "EndpointName", "device.hostname",
                "ThreatgraphIndicators[0].Hostname"],
            "host_address": ["LocalIP", "LocalIPv6", "device.local_ip"],
            "host_domain": ["MachineDomain", "device.machine_domain"],
            "account_name": ["SourceAccountName", "SourceAccountSamAccountName", "UserName", "user_name"],
            "account_uid": ["SourceAccountObjectSid", "UserId", "user_id", "UserSid"],
            "account_domain": ["SourceAccountDomain", "LogonDomain", "logon_domain", "MachineDomain"],
            "source_host": ["SourceEndpointHostName"],
            "source_address": ["SourceEndpointIpAddress", "SourceEndpointAddressIp4", "SourceEndpointAddressIP4",
                "SourceEndpointAddressIP6", "SourceIps", "EndpointIp"],
            "source_uid": ["SourceEndpointSensorId"],
            "target_host": ["TargetEndpointHostName", "TargetServerHostName"],
            "target_address": ["TargetEndpointIpAddress", "TargetServerAddressIP4"],
            "agent": ["UserAgent", "user_agent"],
            "begun": ["StartTime", "IncidentStartTime"],
            "ended": ["EndTime", "IncidentEndTime"],
            "certainty": ["Confidence", "confidence"],
        }.items() %},
        {{ fdr_undeclared(others) }} as {{ name }}
        {%- endfor %},
        -- connections that the process made, and the tactics and techniques of what it did
        try_cast(from_json(coalesce(
            json_extract(coalesce(event, _raw), '$.NetworkAccesses'),
            json_extract(coalesce(event, _raw), '$.MobileNetworkConnections')
        ), '[{
            "Protocol": "VARCHAR", "LocalAddress": "VARCHAR", "LocalPort": "VARCHAR", "RemoteAddress": "VARCHAR",
            "RemotePort": "VARCHAR", "ConnectionDirection": "VARCHAR"
        }]') as struct(
            "Protocol" varchar, "LocalAddress" varchar, "LocalPort" varchar, "RemoteAddress" varchar,
            "RemotePort" varchar, "ConnectionDirection" varchar
        )[]) as accesses,
        try_cast(from_json(
            json_extract(coalesce(event, _raw), '$.MitreAttack'),
            '[{"Tactic": "VARCHAR", "TacticID": "VARCHAR", "Technique": "VARCHAR", "TechniqueID": "VARCHAR"}]'
        ) as struct("Tactic" varchar, "TacticID" varchar, "Technique" varchar, "TechniqueID" varchar)[]) as mitre,
        coalesce(
            json_extract(coalesce(event, _raw), '$.PatternDispositionFlags'),
            json_extract(coalesce(event, _raw), '$.pattern_disposition_details')
        ) as flags
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 2004
),

events as (
    select
        *,
        nullif(process_id, '0') as process_uid,
        try_cast(severity_number as double) as score,
        -- The path of the file, or of its folder.
        case
            when lower(file_path) like '%' || lower(file_name) then file_path
            when regexp_matches(file_path, '[\\/]$') then file_path || file_name
            when file_name is not null and file_path is not null
                then file_path || case when contains(file_path, '\') then '\' else '/' end || file_name
            else coalesce(file_path, file_name)
        end as path,
        case lower(severity_name)
            when 'informational' then 1 when 'low' then 2 when 'medium' then 3 when 'high' then 4 when 'critical' then 5
            -- 1 to 5 in detection summaries, 10 to 100 in those of newer products
            else case
                when severity_number is null then severity_id
                when score between 1 and 5 then score::integer
                when score >= 90 then 5 when score >= 70 then 4 when score >= 40 then 3 when score >= 20 then 2
                else 1
            end
        end as level_id,
        case
            when disposition_id is not null then disposition_id
            -- what the policy would have done, were it switched on
            when coalesce(flags ->> 'PolicyDisabled', flags ->> 'policy_disabled') = 'true' then 15
            when coalesce(flags ->> 'QuarantineFile', flags ->> 'quarantine_file') = 'true' then 3
            {%- for flag, other in {
                "ProcessBlocked": "process_blocked",
                "OperationBlocked": "operation_blocked",
                "KillProcess": "kill_process",
                "KillParent": "kill_parent",
                "KillSubProcess": "kill_subprocess",
                "FsOperationBlocked": "fs_operation_blocked",
                "RegistryOperationBlocked": "registry_operation_blocked",
                "SuspendProcess": "suspend_process",
                "SuspendParent": "suspend_parent",
            }.items() %}
            when coalesce(flags ->> '{{ flag }}', flags ->> '{{ other }}') = 'true' then 2
            {%- endfor %}
            when flags is not null then 15
        end as outcome_id,
        {{ fdr_ip("source_address") }} as source_ip,
        {{ fdr_ip("target_address") }} as target_ip,
        {{ fdr_ip("host_address") }} as host_ip,
        {{ fdr_time("begun") }} as begun_at,
        {{ fdr_time("ended") }} as ended_at,
        -- DOMAIN\name
        coalesce(nullif(regexp_extract(account_name, '^([^\\]+)\\(.+)$', 2), ''), account_name) as account,
        coalesce(nullif(regexp_extract(account_name, '^([^\\]+)\\(.+)$', 1), ''), account_domain) as domain
    from read
)

select
    activity_id,
    level_id as severity_id,
    1 as status_id,
    true as is_alert,
    case when outcome_id in (2, 3) then 2 when outcome_id = 15 then 3 end as action_id,
    coalesce(outcome_id, 15) as disposition_id,
    {
        'uid': coalesce(detection_uid, metadata.uid),
        'title': coalesce(title, event_name, 'Detection'),
        'desc': description,
        'types': case when event_name is not null then [event_name] end,
        'created_time': epoch_ms(_event_at),
        'first_seen_time': begun_at,
        'last_seen_time': ended_at,
        'src_url': case when link like 'http%' then link end,
        'product': {'name': 'Falcon', 'vendor_name': 'CrowdStrike'},
        'analytic': {'uid': pattern_uid, 'type_id': case when pattern_uid is not null then 0 end,
            'type': case when pattern_uid is not null then 'Unknown' end},
        'attacks': case
            when len(mitre) > 1 then list_transform(mitre, lambda each: {
                'tactic': {'name': each."Tactic", 'uid': each."TacticID"},
                'technique': {'name': each."Technique", 'uid': each."TechniqueID"}
            })
            when coalesce(tactic, technique, tactic_uid, technique_uid) is not null then [{
                'tactic': {'name': tactic, 'uid': tactic_uid},
                'technique': {'name': technique, 'uid': technique_uid}
            }]
            else list_transform(attacks, lambda each: {
                'tactic': {'name': each.tactic.name, 'uid': null::varchar},
                'technique': {'name': each.technique.name, 'uid': null::varchar}
            })
        end
    } as finding_info,
    begun_at as start_time,
    ended_at as end_time,
    {{ fdr_number("certainty", 0, 100) }} as confidence_score,
    list_concat([{
        'process': struct_insert(
            {{ fdr_process(
                "process_uid", "path", "file_name",
                extra={"cmd_line": "command", "created_time": fdr_time("process_start")}
            ) }},
            parent_process := case when process_uid is not null then {{ fdr_process(
                "nullif(parent_uid, '0')", "parent_path", extra={"cmd_line": "parent_command"}
            ) }} end
        ),
        'file': {{ fdr_file("path", 1, {"hashes": fdr_hashes("file_sha256", "file_sha1", "file_md5")}) }},
        'user': {{ fdr_user("account", "account_uid", "domain") }},
        'src_endpoint': {'ip': source_ip, 'hostname': source_host, 'uid': source_uid, 'port': null::integer},
        'dst_endpoint': {'ip': target_ip, 'hostname': target_host, 'port': null::integer},
        'connection_info': {'protocol_name': null::varchar, 'direction_id': null::integer, 'direction': null::varchar},
        'query': {'hostname': case when indicator_type = 'domain' then indicator else domain_name end},
        'http_request': {'user_agent': agent},
        'data': to_json(disposition_text)
    }], list_transform(accesses, lambda each: {
        'src_endpoint': case when each."ConnectionDirection" = '1' then {{ fdr_access_end("Remote") }}
            else {{ fdr_access_end("Local") }} end,
        'dst_endpoint': case when each."ConnectionDirection" = '1' then {{ fdr_access_end("Local") }}
            else {{ fdr_access_end("Remote") }} end,
        'connection_info': {
            'protocol_name': case each."Protocol"
                when '6' then 'tcp' when '17' then 'udp' else lower(each."Protocol")
            end,
            'direction_id': case each."ConnectionDirection" when '0' then 2 when '1' then 1 else 0 end,
            'direction': case each."ConnectionDirection"
                when '0' then 'Outbound' when '1' then 'Inbound' else 'Unknown'
            end
        }
    })) as evidences,
    {{ observables([
        observable("device.hostname", 1, "coalesce(host_name, computer_name, source_host)"),
        observable("device.ip", 2, "coalesce(host_ip, device.ip)"),
        observable("evidences[].user.name", 4, "account"),
        observable("evidences[].src_endpoint.ip", 2, "source_ip"),
        observable("evidences[].src_endpoint.hostname", 1, "source_host"),
        observable("evidences[].dst_endpoint.hostname", 1, "target_host"),
        observable("evidences[].process.name", 9, "case when process_uid is not null then file_name end"),
        observable("evidences[].process.cmd_line", 13, "command"),
        observable("evidences[].file.hashes", 8, "case when " ~ fdr_is_hash("file_sha256") ~ " then file_sha256 end"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ExternalApiType", "EventUUID", "CompositeId", "DetectId", "DetectName", "Name", "DisplayName",
        "DetectDescription", "Description", "SeverityName", "Tactic", "Technique", "FalconHostLink", "FileName",
        "FilePath", "SHA256String", "SHA1String", "MD5String", "ProcessId", "ProcessStartTime", "CommandLine",
        "UserName", "LogonDomain", "Hostname", "AgentId", "AgentIdString", "CustomerIdString", "UTCTimestamp",
        "PatternDispositionDescription", "LocalIP", "MachineDomain", "SourceAccountName", "SourceAccountDomain",
        "SourceAccountObjectSid", "SourceEndpointHostName", "SourceEndpointIpAddress", "SourceEndpointSensorId",
        "TargetEndpointHostName", "UserAgent", "StartTime", "EndTime", "Confidence",
        "ParentProcessId", "ParentImageFileName", "ParentCommandLine", "PatternId", "ContextProcessId", "ImageFileName",
        "DomainName",
    ]) }} as unmapped,
    metadata,
    case
        when coalesce(host_name, source_host) is not null or is_host_known then struct_update(
            device,
            hostname := coalesce(host_name, computer_name, source_host),
            ip := coalesce(host_ip, device.ip, case when host_name is null then source_ip end),
            domain := host_domain,
            name := null::varchar
        )
    end as device
from events
