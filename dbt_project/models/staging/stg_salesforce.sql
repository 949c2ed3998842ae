-- One row per landed event of Salesforce, under plain names, whatever layout it has: event log files, real-time events,
-- LoginHistory, SetupAuditTrail. Objects without a type are known by what they have. Salesforce writes `N/A` and
-- `Unknown` where it has no value, and event log files empty texts.
select
    -- event
    case
        when kind is not null then regexp_replace(kind, '(EventStore|Event|EventStream)$', '')
        when setup_action is not null and setup_section is not null then 'SetupAuditTrail'
        when login_type is not null or login_status is not null then 'Login'
        when session_level is not null then 'Logout'
    end as event_kind,
    coalesce(event_kind, 'unknown') || case
        when event_kind = 'SetupAuditTrail' then ':' || coalesce(setup_action, '') else ''
    end as event_type,
    case
        when event_kind = 'SetupAuditTrail' then setup_action
        else coalesce(nullif(operation, ''), event_kind)
    end as action_name,
    occurred_at as original_time,
    nullif(organization_id, '') as organization_id,
    nullif(coalesce(nullif(login_status, ''), request_status), '') as status_text,
    try_cast(http_status as integer) as http_status,
    coalesce(setup_display, summary) as description,
    setup_section,
    score,
    policy_outcome,

    -- who
    coalesce(nullif(user_key, ''), nullif(user_short_key, ''), created_by) as user_id,
    nullif(user_name, '') as user_name,
    lower(user_kind) as user_kind,
    nullif(delegated_user_key, '') as delegate_id,
    nullif(coalesce(delegated_user_name, setup_delegate), '') as delegate_name,
    nullif(session_key, '') as session_id,
    nullif(login_key, '') as login_key,

    -- from where
    {{ address_text("coalesce(nullif(source_ip, ''), nullif(client_ip, ''))") }} as client_address,
    {{ address_port("coalesce(nullif(source_ip, ''), nullif(client_ip, ''))") }} as client_port,
    country_code,
    city,
    region,
    postal_code,
    latitude as lat,
    longitude as long,
    case
        when regexp_full_match(user_agent, '[0-9]*') or user_agent in ('N/A', 'Unknown') then null else user_agent
    end as user_agent,

    -- with what, on what
    nullif(nullif(application, ''), 'N/A') as app_name,
    nullif(connected_app_id, '') as app_id,
    nullif(nullif(login_type, ''), 'N/A') as login_type,
    nullif(login_sub_type, '') as login_sub_type,
    nullif(authentication_reference, '') as authentication_reference,
    nullif(login_url, '') as login_url,
    upper(nullif(method, '')) as request_method,
    split_part(nullif(uri, ''), '?', 1) as request_path,
    nullif(request_id, '') as request_id,
    nullif(entity, '') as entity,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "salesforce") }}
