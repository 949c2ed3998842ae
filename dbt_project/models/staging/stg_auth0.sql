-- One row per landed event of an Auth0 tenant, under plain names. Auth0 writes empty texts where it has no value.
select
    -- event
    "type" as event_type,
    description,
    occurred_at as original_time,
    tenant_name,
    connection,
    strategy,
    details,

    -- who
    nullif(user_id, '') as user_id,
    nullif(user_name, '') as user_name,
    nullif(client_id, '') as app_id,
    nullif(client_name, '') as app_name,
    nullif(organization_id, '') as organization_id,
    nullif(organization_name, '') as organization_name,

    -- who called the Management API
    details -> '$.request.auth.user' as caller,
    details ->> '$.request.auth.credentials.jti' as token_id,

    -- from where
    {{ address_text("coalesce(nullif(ip, ''), nullif(client_ip, ''))") }} as client_address,
    {{ address_port("coalesce(nullif(ip, ''), nullif(client_ip, ''))") }} as client_port,
    location_info.country_code as country_code,
    location_info.city_name as city,
    location_info.subdivision_name as region,
    location_info.latitude as lat,
    location_info.longitude as long,
    nullif(user_agent, '') as user_agent,
    nullif(hostname, '') as hostname,

    -- the request
    upper(details ->> '$.request.method') as request_method,
    details ->> '$.request.path' as request_path,
    try_cast(details ->> '$.response.statusCode' as integer) as http_status,
    details ->> 'session_id' as session_id,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "auth0") }}
