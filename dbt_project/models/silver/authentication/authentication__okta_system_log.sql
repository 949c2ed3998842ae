-- Sign-ins to the Okta org and to applications, their steps (factors, policies, tokens), sign-outs and impersonation.
-- The user is the actor, unless somebody acts on another one's session or an OAuth client acts for a user.
with events as (
    select
        *,
        event_type in ('user.session.clear', 'user.authentication.universal_logout')
        or starts_with(event_type, 'user.session.impersonation.') as acts_on_another,
        case
            when acts_on_another then coalesce(target_user, actor_party)
            when actor_party.type = 'User' then actor_party
            else coalesce(target_user, target_app_user, actor_party)
        end as subject,
        coalesce(debug_data ->> 'signOnMode', target_app.detailEntry ->> 'signOnModeType') as sign_on_mode
    from {{ ref("okta_system_log") }}
    where class_uid = 3002
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
    case when not acts_on_another then session end as session,
    {
        'name': coalesce(
            nullif(target_app.displayName, 'unknown'),
            nullif(target_app.alternateId, 'unknown'),
            case when target_app.id is null then 'Okta' end
        ),
        'uid': target_app.id
    } as service,
    src_endpoint,
    http_request,
    device,
    policy,
    auth_factors,
    case
        when event_type = 'user.authentication.auth_via_mfa' then true
        when starts_with(event_type, 'user.mfa.') then true
        when activity_id = 6 then true
    end as is_mfa,
    case
        when event_type = 'user.authentication.auth_via_radius' then 10
        when event_type = 'user.authentication.auth_via_LDAP_agent' then 12
        when event_type = 'user.authentication.auth_via_inbound_SAML' then 5
        when event_type = 'app.oauth2.signon' or contains(event_type, 'id_token') then 4
        when starts_with(event_type, 'app.oauth2.') then 6
        when sign_on_mode in ('OpenID Connect', 'OPENID_CONNECT') then 4
        when sign_on_mode in ('SAML 2.0', 'SAML_2_0', 'SAML 1.1', 'SAML_1_1') then 5
        when sign_on_mode is not null then 99
    end as auth_protocol_id,
    case
        when sign_on_mode not in ('OpenID Connect', 'OPENID_CONNECT', 'SAML 2.0', 'SAML_2_0', 'SAML 1.1', 'SAML_1_1')
            and not starts_with(event_type, 'app.oauth2.')
            and not starts_with(event_type, 'user.authentication.auth_via_')
            then sign_on_mode
    end as auth_protocol,
    case when starts_with(event_type, 'user.session.impersonation.') then 2 end as account_switch_type_id,
    metadata,
    {{ observables([
        observable("actor.user.name", 4, "actor_party.login"),
        observable("actor.user.uid", 31, "actor.user.uid"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("user.name", 4, "subject.login"),
        observable("user.uid", 31, "subject.user.uid"),
    ]) }} as observables,
    {{ okta_unmapped("list_filter(targets, lambda target: target.has_details
        or not list_contains([subject, target_app, target_policy], target))") }} as unmapped
from events
