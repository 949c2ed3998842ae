-- Detections that the Falcon cloud writes into the stream as summaries. They name the host, the process and its file.
-- Fields that the contract does not declare are read from the record itself.
with read as (
    select
        *,
        {%- for name in [
            "CompositeId", "DetectId", "EventUUID", "DetectName", "Name", "DetectDescription", "Description",
            "SeverityName", "Severity", "Tactic", "Technique", "Objective", "FalconHostLink",
            "PatternDispositionDescription", "FileName", "FilePath", "SHA256String", "SHA1String", "MD5String",
            "ProcessId", "LocalIP", "AssociatedFile", "MachineDomain",
        ] %}
        nullif(nullif(trim(coalesce(
            json_extract_string(_raw, '$.{{ name }}'), json_extract_string(_raw, '$.event.{{ name }}')
        )), ''), '-') as "{{ name }}",
        {%- endfor %}
        coalesce(event, _raw)::json as document
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 2004
),

events as (
    select
        *,
        nullif("ProcessId", '0') as process_uid,
        -- The path of the file, or of its folder.
        case
            when "FilePath" like '%' || "FileName" then "FilePath"
            when regexp_matches("FilePath", '[\\/]$') then "FilePath" || "FileName"
            else coalesce("FilePath", "FileName")
        end as path,
        case lower("SeverityName")
            when 'informational' then 1 when 'low' then 2 when 'medium' then 3 when 'high' then 4 when 'critical' then 5
            -- 1 to 5 in detection summaries, 10 to 100 in those of newer products
            else case
                when try_cast("Severity" as double) between 1 and 5 then try_cast("Severity" as double)::integer
                when try_cast("Severity" as double) >= 90 then 5 when try_cast("Severity" as double) >= 70 then 4
                when try_cast("Severity" as double) >= 40 then 3 when try_cast("Severity" as double) >= 20 then 2
                else 1
            end
        end as level_id,
        case
            when json_extract(document, '$.PatternDispositionFlags') is null then null
            -- what the policy would have done, were it switched on
            when json_extract_string(document, '$.PatternDispositionFlags.PolicyDisabled') = 'true' then 15
            when json_extract_string(document, '$.PatternDispositionFlags.QuarantineFile') = 'true' then 3
            {%- for flag in [
                "ProcessBlocked", "OperationBlocked", "KillProcess", "KillParent", "KillSubProcess",
                "FsOperationBlocked", "RegistryOperationBlocked",
            ] %}
            when json_extract_string(document, '$.PatternDispositionFlags.{{ flag }}') = 'true' then 2
            {%- endfor %}
            else 15
        end as outcome_id
    from read
)

select
    activity_id,
    level_id as severity_id,
    1 as status_id,
    true as is_alert,
    case when outcome_id in (2, 3) then 2 when outcome_id = 15 then 1 end as action_id,
    coalesce(outcome_id, 15) as disposition_id,
    {
        'uid': coalesce("CompositeId", "DetectId", "EventUUID", metadata.uid),
        'title': coalesce("DetectName", "Name", event_name),
        'desc': coalesce("DetectDescription", "Description"),
        'types': [event_name],
        'created_time': epoch_ms(_event_at),
        'src_url': case when "FalconHostLink" like 'http%' then "FalconHostLink" end,
        'product': {'name': 'Falcon', 'vendor_name': 'CrowdStrike'},
        'attacks': case
            when coalesce("Tactic", "Technique") is not null
                then [{'tactic': {'name': "Tactic"}, 'technique': {'name': "Technique"}}]
        end
    } as finding_info,
    [{
        'process': {{ fdr_process("process_uid", "path", '"FileName"', extra={"cmd_line": "command_line"}) }},
        'file': {{ fdr_file("path", 1, {"hashes": fdr_hashes('"SHA256String"', '"SHA1String"', '"MD5String"')}) }},
        'user': {{ fdr_user("user_name", domain='coalesce(logon_domain, "MachineDomain")') }},
        'data': to_json("PatternDispositionDescription")
    }] as evidences,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("device.ip", 2, fdr_ip('"LocalIP"')),
        observable("evidences.user.name", 4, "user_name"),
        observable("evidences.process.name", 9, 'case when process_uid is not null then "FileName" end'),
        observable("evidences.process.cmd_line", 13, "command_line"),
        observable(
            "evidences.file.hashes", 8, 'case when ' ~ fdr_is_hash('"SHA256String"') ~ ' then "SHA256String" end'
        ),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ExternalApiType", "EventUUID", "CompositeId", "DetectId", "DetectName", "Name", "DetectDescription",
        "Description", "SeverityName", "Tactic", "Technique", "FalconHostLink", "FileName", "FilePath",
        "SHA256String", "SHA1String", "MD5String", "ProcessId", "CommandLine", "UserName", "LogonDomain",
        "Hostname", "AgentId", "AgentIdString", "CustomerIdString", "UTCTimestamp", "PatternDispositionDescription",
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
