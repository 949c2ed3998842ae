-- One row per landed audit event of GitLab, under plain names: of its API, of a stream, or of audit_json.log. Older
-- events have no name: it is made of what they say was added, changed or removed.
select
    -- event
    coalesce(nullif(event_name, ''), nullif(audit.event_type, 'audit_operation')) as named,
    coalesce(
        named,
        case
            when failed_login is not null then 'login_failed'
            when with_factor is not null then 'authenticated'
            when added is not null then 'add_' || added
            when removed is not null then 'remove_' || removed
            when changed is not null then 'change_' || changed
        end,
        audit.event_type,
        ''
    ) as event_type,
    nullif(custom_message, '') as description,
    created_at as original_time,
    correlation_id,
    coalesce(with_factor, failed_login) as factor_name,

    -- who; -1 is nobody who signed in, -2 a deploy token
    case when try_cast(author_id as bigint) > 0 then author_id end as author_id,
    nullif(author_name, '') as author_name,
    nullif(author_email, '') as author_email,
    author_class,
    {{ address_text("nullif(ip_address, '')") }} as client_address,
    {{ address_port("nullif(ip_address, '')") }} as client_port,

    -- on what
    entity_id,
    entity_type,
    nullif(entity_path, '') as entity_path,
    nullif(target_id, '') as target_id,
    target_type,
    nullif(target_details, '') as target_name,
    coalesce(
        nullif(access_level, ''),
        case when changed = 'access_level' or named like '%access_level%' then changed_to end
    ) as access_level,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "gitlab_audit") }} as audit
