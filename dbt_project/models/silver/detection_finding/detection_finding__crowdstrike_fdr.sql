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
            "severity_number": ["Severity", "severity"],
            "tactic": ["Tactic", "tactic", "MitreAttack[0].tactic", "MitreAttack[0].Tactic"],
            "tactic_uid": ["tactic_id", "MitreAttack[0].tactic_id", "MitreAttack[0].TacticID"],
            "technique": ["Technique", "technique", "MitreAttack[0].technique", "MitreAttack[0].Technique"],
            "technique_uid": ["technique_id", "MitreAttack[0].technique_id", "MitreAttack[0].TechniqueID"],
            "link": ["FalconHostLink", "falcon_host_link"],
            "disposition_text": ["PatternDispositionDescription", "pattern_disposition_description"],
            "file_name": ["FileName", "filename"],
            "file_path": ["FilePath", "filepath"],
            "file_sha256": ["SHA256String", "sha256", "SHA256HashData"],
            "file_sha1": ["SHA1String", "sha1", "SHA1HashData"],
            "file_md5": ["MD5String", "md5", "MD5HashData"],
            "process_id": ["ProcessId", "process_id", "TargetProcessId", "ContextProcessId"],
            "process_start": ["ProcessStartTime", "process_start_time"],
            "command": ["CommandLine", "cmdline"],
            "host_name": ["Hostname", "ComputerName", "EndpointName", "device.hostname"],
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
            when file_path like '%' || file_name then file_path
            when regexp_matches(file_path, '[\\/]$') then file_path || file_name
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
        'attacks': case
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
    [{
        'process': {{ fdr_process(
            "process_uid", "path", "file_name",
            extra={"cmd_line": "command", "created_time": fdr_time("process_start")}
        ) }},
        'file': {{ fdr_file("path", 1, {"hashes": fdr_hashes("file_sha256", "file_sha1", "file_md5")}) }},
        'user': {{ fdr_user("account", "account_uid", "domain") }},
        'src_endpoint': {'ip': source_ip, 'hostname': source_host, 'uid': source_uid},
        'dst_endpoint': {'ip': target_ip, 'hostname': target_host},
        'http_request': {'user_agent': agent},
        'data': to_json(disposition_text)
    }] as evidences,
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
