-- One row per landed record of Duo's logs, under plain names, whatever log it is of. Details of administrators are JSON
-- as text.
with bronze as (
    select
        *,
        case json_type("action") when 'VARCHAR' then "action" ->> '$' else "action" ->> 'name' end as action_name,
        coalesce(action_name, event_type, context, "type") as operation,
        case when json_type(try_cast(description as json)) = 'OBJECT' then description::json end as admin_details,
        case when json_type(try_cast(actor.details as json)) = 'OBJECT' then actor.details::json end as actor_details,
        case when json_type(try_cast(target.details as json)) = 'OBJECT' then target.details::json end as target_details
    from {{ source("bronze", "duo") }}
)

select
    -- event
    case
        when sekey is not null then 'trust_monitor'
        when telephony_id is not null or credits is not null then 'telephony'
        when action_name is not null then 'admin'
        else 'auth'
    end as log_kind,
    log_kind || ':' || coalesce(bronze.operation, '') as event_type,
    bronze.operation,
    coalesce(isotimestamp, ts, "timestamp", surfaced_timestamp) as original_time,
    host,
    akey as account_id,
    lower(coalesce(result, outcome.result)) as result,
    coalesce(reason, admin_details ->> 'error', explanations[1] ->> 'summary') as reason,
    txid,

    -- who
    coalesce("user".name, surfaced_auth -> '$.user' ->> 'name') as user_name,
    coalesce("user".key, surfaced_auth -> '$.user' ->> 'key') as user_id,
    "user".groups as user_groups,
    nullif(email, '') as email,
    nullif(coalesce(username, actor.name), '') as actor_name,
    actor.key as actor_id,
    actor.type as actor_type,
    case
        when starts_with(bronze.operation, 'admin_login') then admin_details ->> 'email' else actor_details ->> 'email'
    end as actor_email,

    -- from where
    {{ address_text("coalesce(access_device.ip, admin_details ->> 'ip_address', actor_details ->> 'ip_address')") }}
        as client_address,
    {{ address_port("coalesce(access_device.ip, admin_details ->> 'ip_address', actor_details ->> 'ip_address')") }}
        as client_port,
    nullif(access_device.hostname, '') as client_hostname,
    access_device.epkey as endpoint_id,
    access_device.os as client_os,
    access_device.os_version as client_os_version,
    access_device.location.city as city,
    access_device.location.state as region,
    access_device.location.country as country_name,
    admin_details ->> 'user_agent' as user_agent,

    -- with what, on what
    lower(coalesce(factor, admin_details ->> 'factor', case when telephony_id is not null then "type" end))
        as factor_name,
    application.key as application_id,
    application.name as application_name,
    nullif(coalesce("object", target.name), '') as object_name,
    target.key as object_id,
    target.type as object_type,
    coalesce(admin_details ->> 'email', target_details ->> 'email') as object_email,
    lower(coalesce(admin_details ->> 'status', target_details ->> 'status')) as object_status,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from bronze
