-- One row per landed event of GitHub's audit log, under plain names. Git events write empty texts where they have no
-- value.
select
    -- event
    action as event_type,
    split_part(action, '.', 1) as family,
    operation_type,
    coalesce("@timestamp", created_at) as original_time,
    message as description,
    coalesce(reason, reasons, explanation) as reason,
    conclusion,

    -- who
    nullif(actor, '') as actor_name,
    nullif(actor_id, '') as actor_id,
    lower(actor_is_bot) = 'true' or actor like '%[bot]' as is_bot,
    nullif(external_identity_nameid, '') as external_identity_nameid,
    nullif(external_identity_username, '') as external_identity_username,
    programmatic_access_type,
    coalesce(token_id, hashed_token) as token_id,
    coalesce(nullif(oauth_application_name, ''), nullif(integration, '')) as app_name,
    coalesce(oauth_application_id, application_client_id) as app_id,

    -- from where
    {{ address_text("coalesce(nullif(actor_ip, ''), actor_location.ip)") }} as client_address,
    {{ address_port("coalesce(nullif(actor_ip, ''), actor_location.ip)") }} as client_port,
    actor_location.country_code as country_code,
    actor_location.city as city,
    actor_location.region_name as region,
    actor_location.postal_code as postal_code,
    nullif(user_agent, '') as user_agent,
    request_id,
    request_method,
    coalesce(url_path, route) as request_path,
    status_code,

    -- on what
    coalesce(nullif("user", ''), nullif(blocked_user, ''), nullif(invitee, ''), data ->> 'user') as target_name,
    case when nullif("user", '') is not null or user_id is not null then nullif(user_id, '') end as target_id,
    nullif(email, '') as target_email,
    nullif(business, '') as business_name,
    nullif(business_id, '') as business_id,
    coalesce(nullif(org, ''), data ->> 'org') as org_name,
    nullif(org_id, '') as org_id,
    coalesce(nullif(repo, ''), nullif(repository, ''), data ->> 'repo') as repo_name,
    coalesce(nullif(repo_id, ''), nullif(repository_id, '')) as repo_id,
    coalesce(nullif(team, ''), data ->> 'team') as team_name,
    nullif(name, '') as object_name,
    coalesce(nullif(new_repo_permission, ''), nullif(permission, ''), data ->> 'permission') as permission,
    coalesce(nullif(new_role, ''), nullif(role, ''), data ->> 'role', nullif(old_role, '')) as role_name,
    coalesce(alert_number, number, alert_id) as alert_number,
    hook_id,
    workflow_id,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "github_audit") }}
