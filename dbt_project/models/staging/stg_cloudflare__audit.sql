-- One row per landed event of Cloudflare's audit logs, under plain names. Version 2 writes empty texts where it has no
-- value. What is done to members of an account is named by the resource, not by the type of the action.
select
    -- event
    case
        when regexp_matches(lower(concat(resource_type, ' ', resource_product)), '\bmembers?\b')
            then 'member:' || action_type
        else action_type
    end as event_type,
    action_type,
    nullif(action_info, '') as description,
    lower(action_result) as result,
    occurred_at as original_time,
    nullif(interface, '') as interface,

    -- who
    nullif(actor_id, '') as actor_id,
    nullif(actor_email, '') as actor_email,
    lower(actor_type) as actor_type,
    nullif(actor_token_id, '') as token_id,
    nullif(actor_token_name, '') as token_name,
    {{ address_text("nullif(actor_ip, '')") }} as client_address,
    {{ address_port("nullif(actor_ip, '')") }} as client_port,
    nullif(user_agent, '') as user_agent,

    -- the request
    upper(nullif(request_method, '')) as request_method,
    split_part(request_uri, '?', 1) as request_path,
    try_cast(response_code as integer) as http_status,
    ray_id,

    -- on what
    nullif(owner_id, '') as owner_id,
    nullif(owner_name, '') as owner_name,
    nullif(resource_id, '') as resource_id,
    nullif(resource_type, '') as resource_type,
    nullif(resource_product, '') as resource_product,
    nullif(zone_id, '') as zone_id,
    nullif(zone_name, '') as zone_name,
    coalesce(
        ResourceRequest ->> 'email', resource -> 'request' ->> 'email',
        metadata ->> 'user_email', metadata ->> 'member_email'
    ) as target_email,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "cloudflare_audit") }}
