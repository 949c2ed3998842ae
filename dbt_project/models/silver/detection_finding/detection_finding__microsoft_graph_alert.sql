-- Alerts of Microsoft's security products. Each state of an alert is an event.
select
    activity_id,
    severity_id,
    status_id,
    message,
    true as is_alert,
    finding_info,
    evidences,
    actor,
    device,
    policy,
    metadata
from {{ ref("microsoft_graph_alert") }}
where class_uid = 2004
