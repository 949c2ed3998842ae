-- The Okta events that mappings see: routed to a class, each event once, without filtered ones. What takes work is made
-- here and not in staging, so that a mapping pays for the events of its own class only.
with published as (
{{ published_events("okta_system_log", ref("stg_okta__system_log"), ref("dispositions__okta_system_log")) }}
)

select
    published.* exclude (raw_actor, client_address, raw_debug_data),

    -- who did it, like a target; an address is no person (ThreatInsight)
    case when raw_actor.type is distinct from 'IP address' then {
      'id': raw_actor.id, 'type': raw_actor.type, 'alternateId': raw_actor.alternateId, 'displayName': raw_actor.displayName,
      'detailEntry': raw_actor.detailEntry, 'changeDetails': null::json
    } end as actor,

    -- the first target of each kind that an OCSF object is made of
    {{ okta_target("User") }} as target_user,
    {{ okta_target("AppUser") }} as target_app_user,
    {{ okta_target("AppInstance") }} as target_app,
    {{ okta_target("UserGroup") }} as target_group,
    coalesce({{ okta_target("PolicyEntity") }}, {{ okta_target("PolicyRule") }}) as target_policy,
    {{ okta_target("PublicClientApp") }} as target_client,
    list_filter(targets, lambda entity: entity.type = 'AuthenticatorEnrollment') as target_authenticators,

    -- client; Okta names countries, OCSF wants their codes
    {{ ip_or_null("coalesce(client_address, case when raw_actor.type = 'IP address' then raw_actor.id end)") }} as client_ip,
    country.code as client_country_code,

    -- debug data: an open map; some collectors deliver it as text
    case when json_type(raw_debug_data) = 'OBJECT' then raw_debug_data end as debug_data,
    case when json_type(raw_debug_data) <> 'OBJECT' then nullif(raw_debug_data ->> '$', '') end as debug_text
from published
left join {{ ref("country_codes") }} as country on country.name = published.client_country
