-- What Auth0 finds suspicious: leaked passwords, addresses and accounts that it blocks.
select
    activity_id,
    activity_name,
    severity_id,
    1 as status_id,
    message,
    true as is_alert,
    {
        'uid': metadata.uid,
        'title': coalesce(description, event_type),
        'types': [event_type],
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Auth0 Logs', 'vendor_name': 'Auth0'}
    } as finding_info,
    [{
        'user': {'uid': subject.uid, 'name': subject.name},
        'src_endpoint': src_endpoint,
        'http_request': {'user_agent': user_agent}
    }] as evidences,
    resources,
    actor,
    metadata
from {{ ref("auth0") }}
where class_uid = 2004
