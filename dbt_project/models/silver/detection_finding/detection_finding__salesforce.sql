-- What Salesforce finds suspicious: anomalies of use, stolen sessions, stuffed credentials.
select
    activity_id,
    activity_name,
    severity_id,
    1 as status_id,
    message,
    true as is_alert,
    {
        'uid': metadata.uid,
        'title': event_kind,
        'desc': description,
        'types': [event_kind],
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Salesforce', 'vendor_name': 'Salesforce'}
    } as finding_info,
    [{
        'user': {'uid': event_user.uid, 'name': event_user.name},
        'src_endpoint': src_endpoint
    }] as evidences,
    resources,
    actor,
    metadata
from {{ ref("salesforce") }}
where class_uid = 2004
