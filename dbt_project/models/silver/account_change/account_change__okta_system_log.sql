-- Okta users and their accounts in applications: made, enabled, disabled, deleted, locked; their passwords and factors.
-- The user is the target; an account of an application is used when no Okta user is named.
with events as (
    select *, coalesce(target_user, target_app_user, actor) as subject
    from {{ ref("okta_system_log") }}
    where class_uid = 3001
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    {{ okta_status() }},
    {{ okta_user("subject", required=true) }} as user,
    {{ okta_actor() }} as actor,
    {{ okta_src_endpoint() }} as src_endpoint,
    {{ okta_http_request() }} as http_request,
    case when starts_with(event_type, 'user.mfa.') then {{ okta_auth_factors() }} end as auth_factors,
    {{ okta_observables(okta_user_observables("subject")) }} as observables,
    {{ okta_event(taken=["subject"]) }}
from events
