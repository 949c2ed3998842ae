-- The states of GuardDuty findings that the mapping sees: routed to a class, each state once, with what stands in the
-- JSON of actions and resources.
with published as (
    select
        event.*,
        coalesce(route.class_uid, 0) as routed_class_uid, -- an event type without a route is a Base Event
        route.activity_id,
        null::varchar as filter,
        case
            when repeated.number > 1 then 'duplicate'
            when filter is not null then 'filtered'
            else 'published'
        end as outcome,
        coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
        case when outcome = 'published' then routed_class_uid end as class_uid, -- mappings select by it
        {{ guardduty_text("additional_info", "sample") }} = 'true' or title like '[SAMPLE]%' as is_sample,
        {{ ocsf_metadata(
            "AWS", "GuardDuty", event_code="event_type", original_time="updated_at", feature_name="feature_name",
            version="schema_version", correlation_uid="attack_sequence_arn", labels="case when is_sample then ['sample'] end") }} as metadata
    from {{ ref("stg_aws__guardduty") }} as event
    left join {{ routes("aws_guardduty", ref("stg_aws__guardduty")) }} as route using (event_type)
    left join {{ repeated_keys("aws_guardduty", ref("stg_aws__guardduty")) }} as repeated
        using (_batch, _source_object, _source_row)
),

looked_up as (
    select
        *,
        coalesce(api_call, kubernetes_call, connection, port_probe, login_attempt, dns_request) as action_data,
        coalesce({{ guardduty_list("volume_scan", "scanDetections.threatDetectedByName.threatNames") }}
            || {{ guardduty_list("malware_scan", "threats") }}, []) as threats,
        {{ guardduty_list("detection", "sequence.signals") }} as sequence_signals,
        {{ guardduty_list("detection", "sequence.sequenceIndicators") }} as sequence_indicators
    from published
)

select
    event.*,

    -- the action
    case
        when port_probe is not null then list_transform(
            {{ guardduty_list("port_probe", "portProbeDetails") }}, lambda probe: {{ guardduty_seen("probe") }}
        )
        when action_data is not null then [{{ guardduty_seen("action_data") }}]
        else []
    end as sightings,
    coalesce({{ guardduty_text("api_call", "api") }}, {{ guardduty_text("kubernetes_call", "verb") }}) as operation,
    coalesce({{ guardduty_text("api_call", "serviceName") }}, case when kubernetes_call is not null then 'kubernetes' end) as service_name,
    {{ guardduty_text("api_call", "errorCode") }} as response_error,
    {{ guardduty_number("kubernetes_call", "statusCode", "integer") }} as response_code,
    {{ guardduty_text("action_data", "userAgent") }} as user_agent,
    coalesce({{ guardduty_text("dns_request", "domain") }}, {{ guardduty_text("dns_request", "domainWithSuffix") }}) as dns_name,
    lower({{ guardduty_text("action_data", "protocol") }}) as protocol_name,
    try_cast({{ guardduty_text("action_data", "blocked") }} as boolean) as is_blocked,
    case
        when port_probe is not null then 1
        when dns_request is not null then 2
        else case {{ guardduty_text("connection", "connectionDirection") }} when 'INBOUND' then 1 when 'OUTBOUND' then 2 else 0 end
    end as direction_id,
    coalesce(dns_request is not null or {{ guardduty_text("connection", "connectionDirection") }} = 'OUTBOUND', false) as is_from_here,

    -- who and what
    {{ guardduty_text("instance", "instanceId") }} as instance_id,
    {{ guardduty_text("instance", "networkInterfaces[0].privateIpAddress") }} as private_ip,
    {{ guardduty_text("instance", "networkInterfaces[0].privateDnsName") }} as private_name,
    coalesce({{ guardduty_text("rds_instance", "dbInstanceIdentifier") }}, {{ guardduty_text("rds_limitless", "dbShardGroupIdentifier") }}) as database_name,
    coalesce(kubernetes -> '$.kubernetesWorkloadDetails', kubernetes -> '$.KubernetesWorkloadDetails') as kubernetes_workload,
    coalesce(runtime -> '$.process', runtime -> '$.Process') as runtime_process,
    flatten(list_transform({{ guardduty_elements("s3_buckets") }}, lambda bucket: {{ guardduty_list("bucket", "s3ObjectDetails") }})) as s3_objects,

    -- malware
    coalesce({{ guardduty_text("volume_scan", "scanId") }}, {{ guardduty_text("malware_scan", "scanId") }}) as scan_id,
    coalesce({{ guardduty_text("volume_scan", "scanType") }}, {{ guardduty_text("malware_scan", "scanType") }}) as scan_type,
    list_transform(
        flatten(list_transform(threats, lambda threat:
            {{ guardduty_list("threat", "filePaths") }}
            || {{ guardduty_list("threat", "itemPaths") }}
            || {{ guardduty_list("threat", "itemDetails") }}
        )),
        lambda entry: {
            'path': coalesce({{ guardduty_text("entry", "filePath") }}, {{ guardduty_text("entry", "nestedItemPath") }}, {{ guardduty_text("entry", "itemPath") }}),
            'hash': {{ guardduty_text("entry", "hash") }},
            'data': entry
        }
    ) as infected_files,

    -- attack sequence
    {{ guardduty_list("detection", "sequence.actors") }} as sequence_actors,
    {{ guardduty_list("detection", "sequence.endpoints") }} as sequence_endpoints,
    {{ guardduty_list("detection", "sequence.resources") }} as sequence_resources,
    flatten(list_transform(
        list_filter(sequence_indicators, lambda entry: {{ guardduty_text("entry", "key") }} = 'ATTACK_TECHNIQUE'),
        lambda entry: list_transform({{ guardduty_list("entry", "values") }}, lambda name: name ->> '$')
    )) as sequence_techniques,
    flatten(list_transform(
        list_filter(sequence_indicators, lambda entry: {{ guardduty_text("entry", "key") }} = 'ATTACK_TACTIC'),
        lambda entry: list_transform({{ guardduty_list("entry", "values") }}, lambda name: name ->> '$')
    )) as sequence_tactics,
    countries.code_of as country_code_of
from looked_up as event
cross join (select map(list(name), list(code)) as code_of from {{ ref("country_codes") }}) as countries
