-- Alerts of secret scanning, Dependabot and code scanning, and who closed them.
select
    activity_id,
    activity_name,
    severity_id,
    -- an alert that was dismissed is suppressed
    case
        when activity_id <> 3 then 1
        when contains(event_type, 'dismiss') then 3
        else 4
    end as status_id,
    status_detail,
    message,
    true as is_alert,
    {
        'uid': coalesce(repo_name || '#' || alert_number, metadata.uid),
        'title': event_type,
        'types': [family],
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'GitHub', 'vendor_name': 'GitHub'}
    } as finding_info,
    resources,
    actor,
    metadata
from {{ ref("github_audit") }}
where class_uid = 2004
