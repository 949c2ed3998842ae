-- What Entra ID Protection finds risky in sign-ins, users and service principals. Each state of a detection is an
-- event.
select
    activity_id,
    severity_id,
    status_id,
    message,
    true as is_alert,
    risk_level_id,
    finding_info,
    evidences,
    actor,
    metadata
from {{ ref("entra_risk_detection") }}
where class_uid = 2004
