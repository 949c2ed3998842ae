-- GuardDuty findings: every state of a finding is an event. The first state makes it, a later one updates it, and the
-- one that says that it was archived closes it. finding_info.uid is the same in all of them.
with events as (
    select
        event.*,
        case
            when is_archived then 3
            when created_millis is null then case when seen_count > 1 then 2 else 1 end
            when epoch_ms(_event_at) > created_millis then 2
            else 1
        end as made_activity_id,
        coalesce({{ guardduty_text("access_key", "userName") }}, {{ guardduty_text("kubernetes", "kubernetesUserDetails.username") }},
            {{ guardduty_text("rds_user", "user") }}, {{ guardduty_text("sequence_actors[1]", "user.name") }}) as user_name,
        coalesce({{ guardduty_text("access_key", "principalId") }}, {{ guardduty_text("kubernetes", "kubernetesUserDetails.uid") }},
            {{ guardduty_text("sequence_actors[1]", "user.uid") }}) as user_uid,
        coalesce({{ guardduty_text("access_key", "userType") }}, {{ guardduty_text("sequence_actors[1]", "user.type") }}) as user_type,
        {{ guardduty_list("login_attempt", "loginAttributes") }}[1] as login,
        list_transform(sightings, lambda seen: {
          'far': {{ guardduty_remote_endpoint() }}, 'near': {{ guardduty_local_endpoint() }}, 'data': seen.data
        }) as encounters,
        list_transform(sequence_endpoints, lambda entry: {
          'endpoint': {{ guardduty_sequence_endpoint("entry") }}, 'data': entry
        }) as sequence_places,
        list_filter(
            list_transform(encounters, lambda seen: seen.far.ip)
            || list_transform(sequence_places, lambda place: place.endpoint.ip),
            lambda ip: ip is not null
        ) as remote_ips,
        case when runtime_process is not null then {{ guardduty_process("runtime_process") }} end as process,
        case when is_from_here then 'evidences[].dst_endpoint' else 'evidences[].src_endpoint' end as remote_endpoint
    from {{ ref("aws_guardduty") }} as event
    where class_uid = 2004
)

select
    coalesce(activity_id, made_activity_id) as activity_id,
    coalesce(level.severity_id, 0) as severity_id,
    case when is_archived then 5 else 1 end as status_id,
    title as message,
    true as is_alert,
    case when is_blocked then 2 when not is_blocked then 1 end as action_id,
    case when is_blocked then 2 when not is_blocked then 1 end as disposition_id,
    try_cast(confidence as integer) as confidence_score,
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
      'attacks': {{ guardduty_attacks() }},
      'related_events': list_filter(
        list_transform(sequence_signals, lambda entry: {
          'uid': {{ guardduty_text("entry", "uid") }},
          'type': {{ guardduty_text("entry", "type") }},
          'title': {{ guardduty_text("entry", "name") }}
        }), lambda entry: entry.uid is not null),
      'related_events_count': case when len(sequence_signals) > 0 then len(sequence_signals) end
    } as finding_info,
    list_filter(
    {{ guardduty_action_evidences() }}
    || {{ guardduty_further_evidences() }},
    lambda evidence: evidence.data is not null) as evidences,
    {{ guardduty_malware() }} as malware,
    {{ guardduty_malware_scan() }} as malware_scan_info,
    {{ guardduty_resources() }} as resources,
    {
      'user': {
        'name': user_name,
        'uid': user_uid,
        'type_id': case user_type when 'IAMUser' then 1 when 'Root' then 2 when 'AWSService' then 4 else case when user_type is not null then 99 end end,
        'type': case user_type when 'IAMUser' then 'User' when 'Root' then 'Admin' when 'AWSService' then 'Service' else user_type end,
        'groups': list_transform({{ guardduty_list("kubernetes", "kubernetesUserDetails.groups") }}, lambda name: {'name': name ->> '$'}),
        'programmatic_credentials': case when {{ guardduty_text("access_key", "accessKeyId") }} is not null
          then [{'uid': {{ guardduty_text("access_key", "accessKeyId") }}}] end
      },
      'process': process
    } as actor,
    case when instance_id is not null then {
      'uid': instance_id,
      'hostname': private_name,
      'ip': {{ ip_or_null("private_ip") }},
      'type_id': 6,
      'type': 'Virtual'
    } end as device,
    list_transform({{ guardduty_list("threat_evidence", "threatIntelligenceDetails") }}, lambda entry: {
      'name': case when dns_name is not null then 'evidences[].query.hostname' else remote_endpoint || '.ip' end,
      'value': coalesce(dns_name, remote_ips[1], 'Unknown'),
      'type': 'Threat Intelligence',
      'provider': {{ guardduty_text("entry", "threatListName") }},
      'data': entry
    }) as enrichments,
    {'provider': 'AWS', 'region': aws_region, 'account': {{ aws_account("account_id") }}} as cloud,
    list_transform(remote_ips, lambda ip: {'name': remote_endpoint || '.ip', 'type_id': 2, 'type': 'IP Address', 'value': ip})
    || {{ observables([
        observable("evidences[].query.hostname", 1, "dns_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("actor.user.uid", 31, "user_uid"),
        observable("actor.user.programmatic_credentials.uid", 19, guardduty_text("access_key", "accessKeyId")),
        observable("actor.process.name", 9, "process.name"),
        observable("device.uid", 10, "instance_id"),
    ]) }} as observables,
    metadata,
    {{ unmapped_json({
          "severity": "severity",
          "partition": "aws_partition",
          "customDetectionRuleName": "custom_rule",
          "resource.resourceType": "resource_type",
          "resource.rdsDbUserDetails": "rds_user",
          "resource.kubernetesDetails": "kubernetes",
          "service.userFeedback": "user_feedback",
          "service.additionalInfo": "additional_info",
          "service.detection": "detection",
          "service.action.kubernetesPermissionCheckedDetails": "kubernetes_permission",
          "service.action.kubernetesRoleBindingDetails": "kubernetes_role_binding",
          "service.action.kubernetesRoleDetails": "kubernetes_role",
          "service.ebsVolumeScanDetails": "volume_scan",
          "service.malwareScanDetails": "malware_scan",
    }) }} as unmapped
from events
left join {{ ref("guardduty_severities") }} as level
    on events.severity >= level.from_severity and events.severity < level.below_severity
left join {{ ref("guardduty_threat_purposes") }} as purpose
    on purpose.purpose = split_part(events.event_type, ':', 1)
