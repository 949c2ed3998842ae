-- What Trust Monitor surfaces, and pushes that users call fraud.
select
    activity_id,
    activity_name,
    severity_id,
    1 as status_id,
    status_detail,
    message,
    true as is_alert,
    {
        'uid': metadata.uid,
        'title': coalesce(operation, log_kind),
        'types': [log_kind],
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Duo', 'vendor_name': 'Cisco'}
    } as finding_info,
    [{
        'user': {'uid': actor_user.uid, 'name': actor_user.name},
        'src_endpoint': src_endpoint
    }] as evidences,
    resources,
    actor,
    metadata
from {{ ref("duo") }}
where class_uid = 2004
