-- Okta users and their accounts in applications: made, enabled, disabled, deleted, locked; their passwords and factors.
-- The user is the target; an account of an application is used when no Okta user is named.
with events as (
    select *, coalesce(target_user, target_app_user, actor_party) as subject
    from {{ ref("okta_system_log") }}
    where class_uid = 3001
)

select
    activity_id,
    activity_name,
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
    coalesce(subject.user, {'name': 'Unknown', 'type_id': 0, 'type': 'Unknown'}) as user,
    actor,
    src_endpoint,
    http_request,
    device,
    case when starts_with(event_type, 'user.mfa.') then auth_factors end as auth_factors,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("user.name", 4, "subject.login"),
        observable("user.uid", 31, "subject.user.uid"),
    ]) }} as observables,
    {{ okta_unmapped("list_filter(targets, lambda target: target.has_details or target is distinct from subject)") }}
        as unmapped
from events
