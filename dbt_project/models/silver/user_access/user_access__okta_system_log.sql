-- Administrator roles, access to applications and consents, given to and taken from users and client applications.
with events as (
    select *,
        case
            when starts_with(event_type, 'app.oauth2.client.') then coalesce(target_client, target_app, actor)
            else coalesce(target_user, target_app_user, actor)
        end as subject
    from {{ ref("okta_system_log") }}
    where class_uid = 3005
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    {{ okta_status() }},
    {{ okta_user("subject", required=true) }} as user,
    {{ okta_privileges("case when starts_with(event_type, 'application.user_membership.') or event_type = 'app.access_request.grant' then 'Application access' else 'Unknown' end") }} as privileges,
    {{ okta_resources("nullif(list_filter(targets, lambda entity: entity is distinct from subject), [])") }} as resources,
    {{ okta_actor() }} as actor,
    {{ okta_src_endpoint() }} as src_endpoint,
    {{ okta_http_request() }} as http_request,
    {{ okta_observables(okta_user_observables("subject")) }} as observables,
    {{ okta_event(taken=["subject"], others="resources") }}
from events
