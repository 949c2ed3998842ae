-- Okta events that no route sends elsewhere (imports, agents, mails, features): published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    severity_id,
    severity,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    action_id,
    disposition_id,
    risk_level_id,
    actor,
    device,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("unmapped.client.ipAddress", 2, "client_ip"),
    ]) }} as observables,
    {{ okta_unmapped("targets", also="unmapped_client") }} as unmapped
from {{ ref("okta_system_log") }}
where class_uid = 0
