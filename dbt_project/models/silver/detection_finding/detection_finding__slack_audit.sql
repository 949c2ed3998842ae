-- What Slack itself finds suspicious: anomalies of users and apps, malicious files, leaks.
select
    activity_id,
    activity_name,
    0 as severity_id,
    1 as status_id,
    message,
    true as is_alert,
    {
        'uid': metadata.uid,
        'title': event_type,
        'types': list_concat(
            [event_type],
            case
                when json_type(details -> 'reason') = 'ARRAY' then from_json(details -> 'reason', '["VARCHAR"]') else []
            end
        ),
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Slack Audit Logs', 'vendor_name': 'Slack'}
    } as finding_info,
    [{
        'user': {'uid': actor_user.uid, 'name': actor_user.name},
        'src_endpoint': src_endpoint,
        'http_request': http_request
    }] as evidences,
    resources,
    actor,
    metadata
from {{ ref("slack_audit") }}
where class_uid = 2004
