-- What Google finds suspicious: sign-ins, devices, attacks by states, content that a rule matches.
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
        'title': coalesce(params ->> 'rule_name', event_name, application, 'Unknown'),
        'types': list_filter([event_category, event_name], lambda each: each is not null),
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Google Workspace', 'vendor_name': 'Google'}
    } as finding_info,
    [{
        'user': {'name': coalesce(target_user.name, actor_user.name), 'uid': actor_user.uid},
        'src_endpoint': src_endpoint
    }] as evidences,
    resources,
    actor,
    metadata
from {{ ref("google_workspace") }}
where class_uid = 2004
