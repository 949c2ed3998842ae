-- The product: signals of lateral movement as OCSF Detection Findings, each with its evidence and one sentence.
with signals as (
    select
        *,
        greatest(last_logon_at, coalesce(last_trace_at, last_logon_at)) as last_seen_at,
        coalesce(asset_name, host) as machine
    from {{ ref("lateral_movement_sentences") }}
)

select
    1 as activity_id,
    severity_id,
    1 as status_id,
    headline || '.' as message,
    -- what `never` and `new` cover, where the lake has less than the 90 days
    upper(left(record_words, 1)) || substring(record_words, 2) || '.' as comment,
    true as is_alert,
    score as risk_score,
    case severity_id when 5 then 4 when 4 then 3 else 2 end as risk_level_id,
    -- High: a threat list or a technique of attack speaks as well; low: it rests on what is new alone
    case
        when hostile is not null or list_has_any(names, ['pass_the_hash', 'lsass_access']) then 3
        when list_has_any(names, [
            'service_created', 'encoded_powershell', 'run_key', 'impossible_travel', 'repeated_mfa_denials'
        ]) then 2
        else 1
    end as confidence_id,
    least(score, 100) as confidence_score,
    event_count::integer as "count",
    epoch_ms(list_min(list_transform(events, lambda event: event.at))) as start_time,
    epoch_ms(last_seen_at) as end_time,
    {
        'uid': finding_uid,
        'title': 'Lateral movement: ' || user_name || ' on ' || machine,
        'desc': headline || ': '
            || array_to_string(details || case when record_words is not null then [record_words] else [] end, '; ')
            || '.',
        'types': list_transform(list_filter(factors, lambda each: each.weight > 0), lambda each: each.factor),
        'data_sources': list_sort(list_distinct(list_transform(events, lambda event: event.title))),
        'created_time': epoch_ms(first_logon_at),
        'first_seen_time': epoch_ms(first_logon_at),
        'last_seen_time': epoch_ms(last_seen_at),
        'product': {'name': 'Headwater', 'vendor_name': 'Headwater', 'uid': 'lateral_movement'},
        'analytic': {
            'name': 'lateral_movement', 'uid': 'headwater.lateral_movement', 'type_id': 1, 'type': 'Rule',
            'category': 'Lateral Movement'
        },
        'attacks': attacks,
        'related_events': list_transform(events, lambda event: {
            'uid': event.uid, 'type_uid': event.type_uid, 'type': event.title, 'title': event.title
        }),
        'related_events_count': event_count::integer
    } as finding_info,
    attacks,
    list_transform(events, lambda event: {
        'name': event.title,
        'data': to_json({
            'uid': event.uid, 'time': strftime(event.at, '%Y-%m-%dT%H:%M:%S.%gZ'), 'where': event.host,
            'program': event.process, 'what': event.detail
        }),
        'src_endpoint': case when event.address is not null then {'ip': event.address} end,
        'user': {'name': user_name, 'uid': user_uid}
    }) as evidences,
    [{
        'uid': asset_uid, 'name': machine, 'type': coalesce(asset_role, asset_type, 'host'),
        'owner': {'name': asset_owner}, 'role_id': 1, 'role': 'Target'
    }] as resources,
    {'user': {
        'name': user_name, 'uid': user_uid, 'full_name': full_name,
        'type_id': case when is_privileged then 2 else 1 end,
        'type': case when is_privileged then 'Admin' else 'User' end
    }} as actor,
    {'hostname': host, 'uid': asset_uid, 'type_id': 0, 'type': 'Unknown'} as device,
    list_filter(
        [
            {'name': 'actor.user.name', 'type_id': 4, 'type': 'User Name', 'value': user_name},
            {'name': 'device.hostname', 'type_id': 1, 'type': 'Hostname', 'value': host}
        ] || list_transform([hostile.address] || coalesce(addresses, []), lambda address: {
            'name': 'evidences[].src_endpoint.ip', 'type_id': 2, 'type': 'IP Address', 'value': address
        }),
        lambda entry: entry.value is not null
    ) as observables,
    case when hostile is not null then [{
        'name': 'evidences[].src_endpoint.ip', 'value': hostile.address, 'type': 'threat_intelligence',
        'provider': hostile.feed,
        'data': to_json({
            'indicator': hostile.address, 'name': hostile.name, 'category': hostile.category,
            'malware': hostile.malware, 'feed': hostile.feed, 'version': hostile.version,
            'learned_at': strftime(hostile.learned_at, '%Y-%m-%dT%H:%M:%SZ'), 'seconds_before': hostile.seconds_before
        })
    }] end as enrichments,
    {
        'product': {'name': 'Headwater', 'vendor_name': 'Headwater', 'feature': {'name': 'lateral_movement'}},
        'event_code': 'lateral_movement'
    } as metadata,
    to_json({
        'sentence': headline || '.', 'score': score, 'factors': factors, 'logon_types': logon_types,
        'protocols': protocols, 'new_tags': new_tags, 'travel': travel,
        'record_from': strftime(record_from, '%Y-%m-%dT%H:%M:%SZ')
    }) as unmapped,
    finding_uid as _event_key,
    _event_at,
    _arrived_at
from signals
