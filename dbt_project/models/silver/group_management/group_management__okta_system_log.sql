-- Okta groups and their copies in applications: made, deleted; their members, administrator roles and applications.
with events as (
    select *, coalesce(target_user, target_app_user) as member
    from {{ ref("okta_system_log") }}
    where class_uid = 3006
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
    {
        'name': coalesce(
            nullif(target_group.displayName, 'unknown'), case when target_group.id is null then 'Unknown' end
        ),
        'uid': target_group.id,
        'type': target_group.type
    } as "group",
    member.user as user,
    case
        when activity_id not in (1, 2) then null
        when privileges is not null then privileges
        when starts_with(event_type, 'group.application_assignment.') then ['Application access']
        else ['Unknown']
    end as privileges,
    target_app.resource as resource,
    actor,
    src_endpoint,
    http_request,
    device,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("user.name", 4, "member.login"),
        observable("user.uid", 31, "member.user.uid"),
        observable("group.name", 32, "nullif(target_group.displayName, 'unknown')"),
        observable("group.uid", 33, "target_group.id"),
    ]) }} as observables,
    {{ okta_unmapped("list_filter(targets, lambda target: target.has_details
        or not list_contains([target_group, member, target_app], target))") }} as unmapped
from events
