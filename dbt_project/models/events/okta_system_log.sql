-- The Okta events that mappings see: routed to a class, each event once, without filtered ones. What takes work is made
-- here and not in staging, so that a mapping pays for the events of its own class only.
with published as (
    select
        event.*,
        coalesce(route.class_uid, 0) as routed_class_uid, -- an event type without a route is a Base Event
        route.activity_id,
        null::varchar as filter,
        case
            when repeated.number > 1 then 'duplicate'
            when filter is not null then 'filtered'
            else 'published'
        end as outcome,
        coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
        case when outcome = 'published' then routed_class_uid end as class_uid, -- mappings select by it
        {{ ocsf_metadata(
            "Okta", "Okta System Log", event_code="event_type", original_time="published", log_level="severity",
            correlation_uid="transaction_id", version="log_version") }} as metadata
    from {{ ref("stg_okta__system_log") }} as event
    left join {{ routes("okta_system_log", ref("stg_okta__system_log")) }} as route using (event_type)
    left join {{ repeated_keys("okta_system_log", ref("stg_okta__system_log")) }} as repeated
        using (_batch, _source_object, _source_row)
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
