-- Sign-ins to the Okta org and to applications, their steps (factors, policies, tokens), sign-outs and impersonation.
-- The user is the actor, unless somebody acts on another one's session or an OAuth client acts for a user.
with events as (
    select *,
        event_type in ('user.session.clear', 'user.authentication.universal_logout')
            or starts_with(event_type, 'user.session.impersonation.') as acts_on_another,
        case
            when acts_on_another then coalesce(target_user, actor)
            when actor.type = 'User' then actor
            else coalesce(target_user, target_app_user, actor)
        end as subject,
        coalesce(debug_data ->> 'signOnMode', target_app.detailEntry ->> 'signOnModeType') as sign_on_mode
    from {{ ref("okta_system_log") }}
    where class_uid = 3002
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    {{ okta_status() }},
    {{ okta_user("subject", required=true) }} as user,
    {{ okta_actor() }} as actor,
    case when not acts_on_another then {{ okta_session() }} end as session,
    {
      'name': coalesce(nullif(target_app.displayName, 'unknown'), nullif(target_app.alternateId, 'unknown'), case when target_app.id is null then 'Okta' end),
      'uid': target_app.id
    } as service,
    {{ okta_src_endpoint() }} as src_endpoint,
    {{ okta_http_request() }} as http_request,
    {{ okta_policy() }} as policy,
    {{ okta_auth_factors() }} as auth_factors,
    case
        when event_type = 'user.authentication.auth_via_mfa' or starts_with(event_type, 'user.mfa.') or activity_id = 6 then true
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
            and not starts_with(event_type, 'app.oauth2.') and not starts_with(event_type, 'user.authentication.auth_via_')
            then sign_on_mode
    end as auth_protocol,
    case when starts_with(event_type, 'user.session.impersonation.') then 2 end as account_switch_type_id,
    {{ okta_observables(okta_user_observables("subject")) }} as observables,
    {{ okta_event(taken=["subject", "target_app", "target_policy"]) }}
from events
