-- GuardDuty findings: every state of a finding is an event. The first state makes it, a later one updates it, and the
-- one that says that it was archived closes it. finding_info.uid is the same in all of them.
with described as (
    select
        *,
        coalesce(
            {{ guardduty_list("volume_scan", "scanDetections.threatDetectedByName.threatNames") }}
            || {{ guardduty_list("malware_scan", "threats") }}, []
        ) as threats,
        {{ guardduty_list("detection", "sequence.signals") }} as sequence_signals,
        {{ guardduty_list("detection", "sequence.sequenceIndicators") }} as sequence_indicators,
        -- the addresses of an attack sequence
        list_transform({{ guardduty_list("detection", "sequence.endpoints") }}, lambda entry: {
            'endpoint': case
                when coalesce(
                    {{ guardduty_text("entry", "ip") }}, {{ guardduty_text("entry", "id") }},
                    {{ guardduty_text("entry", "domain") }}
                ) is not null then {
                    'ip': {{ ip_or_null(guardduty_text("entry", "ip")) }},
                    'uid': {{ guardduty_text("entry", "id") }},
                    'name': case
                        when {{ guardduty_text("entry", "id") }} is null
                            then coalesce({{ guardduty_text("entry", "domain") }}, {{ guardduty_text("entry", "ip") }})
                    end,
                    'port': {{ guardduty_number("entry", "port", "bigint", "1 and 65535") }},
                    'domain': {{ guardduty_text("entry", "domain") }},
                    'location': case
                        when coalesce(
                            {{ guardduty_known("entry", "location.city") }},
                            {{ guardduty_known("entry", "location.country") }}
                        ) is not null then {
                            'city': {{ guardduty_known("entry", "location.city") }},
                            'country': coalesce(
                                country_code_of[{{ guardduty_text("entry", "location.country") }}],
                                {{ guardduty_known("entry", "location.country") }}
                            ),
                            'lat': {{ guardduty_place("entry", "location", "lat") }},
                            'long': {{ guardduty_place("entry", "location", "lon") }}
                        }
                    end,
                    'autonomous_system': {
                        'number': nullif({{ guardduty_number("entry", "autonomousSystem.number") }}, 0),
                        'name': {{ guardduty_known("entry", "autonomousSystem.name") }}
                    }
                }
            end,
            'data': entry
        }) as sequence_places
    from {{ ref("aws_guardduty") }}
    where class_uid = 2004
),

findings as (
    select
        *,
        list_filter(
            list_transform(encounters, lambda seen: seen.far.ip)
            || list_transform(sequence_places, lambda place: place.endpoint.ip),
            lambda ip: ip is not null
        ) as remote_ips,
        case when is_from_here then 'evidences[].dst_endpoint' else 'evidences[].src_endpoint' end as remote_endpoint,

        -- Runtime Monitoring: the parent among the ancestors, and the processes that were acted upon or acted
        list_filter(
            {{ guardduty_list("runtime_process", "lineage") }},
            lambda entry: {{ guardduty_text("entry", "uuid") }} = {{ guardduty_text("runtime_process", "parentUuid") }}
        )[1] as runtime_parent,
        list_filter(
            [
                coalesce(runtime -> '$.context.targetProcess', runtime -> '$.Context.TargetProcess'),
                coalesce(runtime -> '$.context.modifyingProcess', runtime -> '$.Context.ModifyingProcess')
            ],
            lambda entry: coalesce({{ guardduty_text("entry", "pid") }}, {{ guardduty_text("entry", "uuid") }})
            is not null
        ) as other_processes,

        -- malware
        coalesce(
            {{ guardduty_text("volume_scan", "scanId") }}, {{ guardduty_text("malware_scan", "scanId") }}
        ) as scan_id,
        coalesce(
            {{ guardduty_text("volume_scan", "scanType") }}, {{ guardduty_text("malware_scan", "scanType") }}
        ) as scan_type,
        list_transform(
            flatten(list_transform(threats, lambda threat:
                {{ guardduty_list("threat", "filePaths") }}
                || {{ guardduty_list("threat", "itemPaths") }}
                || {{ guardduty_list("threat", "itemDetails") }}
            )),
            lambda entry: {
                'path': coalesce(
                    {{ guardduty_text("entry", "filePath") }},
                    {{ guardduty_text("entry", "nestedItemPath") }},
                    {{ guardduty_text("entry", "itemPath") }}
                ),
                'hash': {{ guardduty_text("entry", "hash") }},
                'data': entry
            }
        ) as infected_files,

        -- ATT&CK techniques (T1562.008 - Disable Cloud Logs) and tactics that an attack sequence names
        flatten(list_transform(
            list_filter(sequence_indicators, lambda entry: {{ guardduty_text("entry", "key") }} = 'ATTACK_TECHNIQUE'),
            lambda entry: list_transform({{ guardduty_list("entry", "values") }}, lambda name: name ->> '$')
        )) as sequence_techniques,
        flatten(list_transform(
            list_filter(sequence_indicators, lambda entry: {{ guardduty_text("entry", "key") }} = 'ATTACK_TACTIC'),
            lambda entry: list_transform({{ guardduty_list("entry", "values") }}, lambda name: name ->> '$')
        )) as sequence_tactics
    from described
)

select
    coalesce(activity_id, case
        when is_archived then 3
        when epoch_ms(_event_at) > created_millis then 2
        when created_millis is null and seen_count > 1 then 2
        else 1
    end) as activity_id,
    coalesce(level.severity_id, 0) as severity_id,
    case when is_archived then 5 else 1 end as status_id,
    message,
    true as is_alert,
    case when is_blocked then 2 when not is_blocked then 1 end as action_id,
    case when is_blocked then 2 when not is_blocked then 1 end as disposition_id,
    try_cast(confidence_value as integer) as confidence_score,
    seen_count as "count",
    first_seen_millis as start_time,
    last_seen_millis as end_time,
    {
        'uid': finding_id,
        'uid_alt': finding_arn,
        'title': title,
        'desc': finding_description,
        'types': case when event_type <> 'Unknown' then [event_type] end,
        'data_sources': case when feature_name is not null then [feature_name] end,
        'created_time': created_millis,
        'modified_time': epoch_ms(_event_at),
        'first_seen_time': first_seen_millis,
        'last_seen_time': last_seen_millis,
        'product': {'name': 'GuardDuty', 'vendor_name': 'AWS', 'uid': detector_id},
        -- ATT&CK, where AWS gives it: the purpose of the finding type, and what an attack sequence names
        'attacks': case
            when purpose.tactic_uid is not null
                then [{'tactic': {'uid': purpose.tactic_uid, 'name': purpose.tactic_name}}]
            else []
        end
        || list_transform(
            list_filter(sequence_techniques, lambda name: regexp_matches(name, '^T[0-9]{4}')),
            lambda name: {
                'technique': {
                    'uid': regexp_extract(name, '^(T[0-9]{4})', 1),
                    'name': case
                        when not regexp_matches(name, '^T[0-9]{4}[.]')
                            then nullif(regexp_replace(name, '^T[0-9]{4}[ :-]*', ''), '')
                    end
                },
                'sub_technique': {
                    'uid': nullif(regexp_extract(name, '^(T[0-9]{4}[.][0-9]{3})', 1), ''),
                    'name': case
                        when regexp_matches(name, '^T[0-9]{4}[.]')
                            then nullif(regexp_replace(name, '^T[0-9.]+[ :-]*', ''), '')
                    end
                }
            }
        )
        || list_transform(sequence_tactics, lambda name: {'tactic': {'name': name}}),
        'related_events': list_filter(
            list_transform(sequence_signals, lambda entry: {
                'uid': {{ guardduty_text("entry", "uid") }},
                'type': {{ guardduty_text("entry", "type") }},
                'title': {{ guardduty_text("entry", "name") }}
            }),
            lambda entry: entry.uid is not null
        ),
        'related_events_count': case when len(sequence_signals) > 0 then len(sequence_signals) end
    } as finding_info,

    -- What the action or each probe shows, then processes, files of a malware scan, users and addresses of an attack
    -- sequence. A call and a login have one end only.
    list_filter(
        list_transform(encounters, lambda seen: {
            'name': action_type,
            'src_endpoint': case when is_from_here then seen.near else seen.far end,
            'dst_endpoint': case
                when coalesce(api_call, kubernetes_call, dns_request) is not null then null
                when is_from_here then seen.far
                else seen.near
            end,
            'connection_info': case
                when coalesce(connection, port_probe, dns_request) is not null then {
                    'protocol_name': protocol_name,
                    'direction_id': direction_id,
                    'direction': {{ ocsf_caption(
                        "detection_finding", "evidences.connection_info.direction_id", "direction_id"
                    ) }}
                }
            end,
            'query': {'hostname': dns_name},
            'http_request': {'user_agent': user_agent, 'url': {'path': request_path}},
            'user': {'name': {{ guardduty_text("login", "user") }}},
            'api': case
                when operation is not null then {
                    'operation': operation,
                    'service': {'name': service_name},
                    'response': {'code': response_code, 'error': response_error}
                }
            end,
            'data': seen.data
        })
        || case
            when runtime_process is not null then [{
                'name': 'Process',
                'process': {{ guardduty_process(
                    "runtime_process",
                    parent=guardduty_process("runtime_parent"),
                    cmd_line=guardduty_text("runtime", "context.commandLineExample")
                ) }},
                'file': {{ guardduty_file(
                    "actor.process.file.path", guardduty_text("runtime_process", "executableSha256")
                ) }},
                'data': runtime
            }]
            else []
        end
        || list_transform(other_processes, lambda entry: {
            'name': 'Process',
            'process': {{ guardduty_process("entry") }},
            'file': {{ guardduty_file(
                guardduty_text("entry", "executablePath"), guardduty_text("entry", "executableSha256")
            ) }},
            'data': entry
        })
        || list_transform(infected_files, lambda entry: {
            'name': 'File',
            'file': {{ guardduty_file("entry.path", "entry.hash") }},
            'data': entry.data
        })
        || list_transform(sequence_actors, lambda entry: {
            'name': 'Actor',
            'user': {
                'name': {{ guardduty_text("entry", "user.name") }},
                'uid': {{ guardduty_text("entry", "user.uid") }},
                'type': {{ guardduty_text("entry", "user.type") }}
            },
            'data': entry
        })
        || list_transform(sequence_places, lambda place: {
            'name': 'Endpoint',
            'src_endpoint': place.endpoint,
            'data': place.data
        }),
        lambda evidence: evidence.data is not null
    ) as evidences,
    list_transform(list_filter(
        threats, lambda entry: {{ guardduty_text("entry", "name") }} is not null
    ), lambda entry: {
        'name': {{ guardduty_text("entry", "name") }},
        'classification_ids': [0],
        'provider': {{ guardduty_text("entry", "source") }},
        'severity': {{ guardduty_text("entry", "severity") }},
        'num_infected': coalesce(
            {{ guardduty_number("entry", "itemCount") }}, {{ guardduty_number("entry", "count") }}
        )
    }) as malware,
    case
        when scan_id is not null then {
            'uid': scan_id,
            'type_id': case when scan_type is null then 0 when scan_type = 'ON_DEMAND' then 1 else 99 end,
            'type': case when scan_type <> 'ON_DEMAND' then scan_type end,
            'start_time': {{ guardduty_millis(guardduty_text("volume_scan", "scanStartedAt")) }},
            'end_time': {{ guardduty_millis(guardduty_text("volume_scan", "scanCompletedAt")) }},
            'num_files': {{ guardduty_number("volume_scan", "scanDetections.scannedItemCount.files") }},
            'num_volumes': {{ guardduty_number("volume_scan", "scanDetections.scannedItemCount.volumes") }},
            'num_infected': {{ guardduty_number("volume_scan", "scanDetections.threatsDetectedItemCount.files") }},
            'unique_malware_count': coalesce(
                {{ guardduty_number("volume_scan", "scanDetections.threatDetectedByName.uniqueThreatNameCount") }},
                {{ guardduty_number("malware_scan", "uniqueThreatCount") }}
            )
        }
    end as malware_scan_info,
    resources,
    actor,
    device,
    list_transform(case
        when coalesce(dns_name, remote_ips[1]) is not null
            then list_filter(
                {{ guardduty_list("threat_evidence", "threatIntelligenceDetails") }},
                lambda entry: json_type(entry) <> 'NULL'
            )
    end, lambda entry: {
        'name': case when dns_name is not null then 'evidences[].query.hostname' else remote_endpoint || '.ip' end,
        'value': coalesce(dns_name, remote_ips[1]),
        'type': 'Threat Intelligence',
        'provider': {{ guardduty_text("entry", "threatListName") }},
        'data': entry
    }) as enrichments,
    cloud,
    list_transform(
        remote_ips,
        lambda ip: {'name': remote_endpoint || '.ip', 'type_id': 2, 'type': 'IP Address', 'value': ip}
    ) || {{ observables([
        observable("evidences[].query.hostname", 1, "dns_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("actor.user.uid", 31, "user_uid"),
        observable("actor.user.programmatic_credentials.uid", 19, "access_key_id"),
        observable("actor.process.name", 9, "actor.process.name"),
        observable("device.uid", 10, "instance_id"),
        observable("evidences[].http_request.user_agent", 16, "user_agent"),
    ]) }} || list_transform(
        list_filter(resources, lambda resource: resource.uid is not null),
        lambda resource: {{ observable("resources[].uid", 10, "resource.uid") }}
    ) as observables,
    metadata,
    json_merge_patch(coalesce(unmapped, '{}'), to_json({
        'service.evidence': case when coalesce(dns_name, remote_ips[1]) is null then threat_evidence end
    })) as unmapped
from findings
left join {{ ref("guardduty_severities") }} as level
    on findings.severity_value >= level.from_severity and findings.severity_value < level.below_severity
left join {{ ref("guardduty_threat_purposes") }} as purpose
    on purpose.purpose = split_part(findings.event_type, ':', 1)
