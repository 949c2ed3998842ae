-- One row per landed event of 1Password's Events API, under plain names, whatever feature it is of.
select
    -- event
    case
        when category is not null or target_user.uuid is not null then 'sign_in'
        when object_type is not null then 'audit'
        else 'item_usage'
    end as feature,
    case feature
        when 'sign_in' then 'sign_in:' || coalesce(category, '')
        when 'audit' then 'audit:' || object_type || ':' || coalesce("action", '')
        else 'item_usage:' || coalesce("action", '')
    end as event_type,
    case feature
        when 'sign_in' then coalesce(category, 'sign_in')
        when 'audit' then coalesce("action" || ' ' || object_type, object_type)
        else coalesce("action", 'use')
    end as operation,
    "timestamp" as original_time,
    account_uuid,
    category,
    "type" as category_detail,

    -- who
    coalesce(target_user.uuid, "user".uuid, actor_details.uuid, actor_uuid) as actor_id,
    nullif(coalesce(target_user.name, "user".name, actor_details.name), '') as actor_name,
    nullif(coalesce(target_user.email, "user".email, actor_details.email), '') as actor_email,
    lower(coalesce(target_user.type, "user".type, actor_type)) as actor_kind,
    coalesce(session.uuid, session_uuid) as session_id,
    session.login_time as session_began,

    -- from where, with what
    {{ address_text("coalesce(client.ip_address, session.ip)") }} as client_address,
    {{ address_port("coalesce(client.ip_address, session.ip)") }} as client_port,
    coalesce(location.country, country) as country,
    location.region as region,
    location.city as city,
    location.latitude as lat,
    location.longitude as long,
    client.app_name as app_name,
    client.app_version as app_version,
    session.device_uuid as device_id,

    -- on what
    item_uuid,
    vault_uuid,
    object_type,
    object_uuid,
    object_details.name as object_name,
    object_details.email as object_email,
    aux_uuid,
    aux_details.name as aux_name,
    aux_details.email as aux_email,
    aux_info,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "onepassword") }}
