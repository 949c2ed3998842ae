-- Administrator roles, access to applications and consents, given to and taken from users and client applications.
with events as (
    select
        *,
        case
            when starts_with(event_type, 'app.oauth2.client.') then coalesce(target_client, target_app, actor_party)
            else coalesce(target_user, target_app_user, actor_party)
        end as subject,
        list_filter(targets, lambda target: target is distinct from subject) as others
    from {{ ref("okta_system_log") }}
    where class_uid = 3005
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
    case
        when privileges is not null then privileges
        when starts_with(event_type, 'application.user_membership.') then ['Application access']
        when event_type = 'app.access_request.grant' then ['Application access']
        else ['Unknown']
    end as privileges,
    list_transform(others, lambda target: target.resource) as resources,
    actor,
    src_endpoint,
    http_request,
    device,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("user.name", 4, "subject.login"),
        observable("user.uid", 31, "subject.user.uid"),
    ]) }} as observables,
    {{ okta_unmapped("list_filter([subject], lambda target: target.has_details)") }} as unmapped
from events
