-- Okta groups and their copies in applications: made, deleted; their members, administrator roles and applications.
with events as (
    select *, coalesce(target_user, target_app_user) as member
    from {{ ref("okta_system_log") }}
    where class_uid = 3006
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    {{ okta_status() }},
    {
      'name': coalesce(nullif(target_group.displayName, 'unknown'), case when target_group.id is null then 'Unknown' end),
      'uid': target_group.id,
      'type': target_group.type
    } as "group",
    {{ okta_user("member") }} as user,
    case when activity_id in (1, 2) then
        {{ okta_privileges("case when starts_with(event_type, 'group.application_assignment.') then 'Application access' else 'Unknown' end") }}
    end as privileges,
    case when target_app is not null then {{ okta_resources("[target_app]") }}[1] end as resource,
    {{ okta_actor() }} as actor,
    {{ okta_src_endpoint() }} as src_endpoint,
    {{ okta_http_request() }} as http_request,
    {{ okta_observables(okta_user_observables("member") + [
        observable("group.name", 32, "nullif(target_group.displayName, 'unknown')"),
        observable("group.uid", 33, "target_group.id"),
    ]) }} as observables,
    {{ okta_event(taken=["target_group", "member", "target_app"]) }}
from events
