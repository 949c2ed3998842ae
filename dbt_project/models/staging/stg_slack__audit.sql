-- One row per landed event of Slack's Audit Logs API, under plain names.
select
    -- event
    action as event_type,
    date_create as original_time,

    -- who
    actor.type as actor_type,
    actor.user.id as actor_id,
    actor.user.name as actor_name,
    actor.user.email as actor_email,
    actor.user.team as actor_team,

    -- on what: the object that is called as its type
    entity ->> 'type' as entity_type,
    {{ json_or_text(json_member("entity", "(entity ->> 'type')")) }} as target,
    case when json_type(details) = 'OBJECT' then details end as details,

    -- where
    {{ address_text("context.ip_address") }} as client_address,
    {{ address_port("context.ip_address") }} as client_port,
    nullif(context.ua, '') as user_agent,
    context.session_id as session_id,
    context.location.type as location_type,
    context.location.id as location_id,
    context.location.name as location_name,
    context.location.domain as location_domain,
    context.app.id as app_id,
    context.app.name as app_name,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "slack_audit") }}
