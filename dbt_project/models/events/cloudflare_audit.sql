-- Events of Cloudflare's audit logs with their outcome, and the OCSF objects that the mappings of Cloudflare share.
-- Fields are those of both versions of the API and of Logpush (developers.cloudflare.com).
with routed as (
    {{ audit_events("cloudflare_audit", ref("stg_cloudflare__audit"), operation="action_type") }}
),

read as (
    select
        *,
        {{ ip_or_null("client_address") }} as client_ip,
        case
            when coalesce(actor_id, actor_email, actor_type) is not null then {
                'uid': actor_id,
                'name': coalesce(actor_email, case when actor_id is null then actor_type end),
                'email_addr': {{ email_or_null("actor_email") }},
                'type_id': case
                    when actor_type = 'user' then 1
                    when actor_type = 'admin' then 2
                    when actor_type in ('cloudflare', 'cloudflare_admin', 'system') then 3
                    when actor_type = 'account' then 4
                end,
                'programmatic_credentials': case
                    when token_id is not null then [{'uid': token_id, 'type': token_name}]
                end
            }
        end as actor_user,
        case
            when target_email is not null
                then {'name': target_email, 'email_addr': {{ email_or_null("target_email") }}}
        end as target_user
    from routed
)

select
    *,
    case
        when class_uid = 6003 then coalesce(
            nullif(coalesce(routed_activity_id, {{ verb_activity("event_words") }}), 99),
            case request_method
                when 'GET' then 2 when 'POST' then 1 when 'PUT' then 3 when 'PATCH' then 3 when 'DELETE' then 4
            end,
            99
        )
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then action_type end as activity_name,
    1 as severity_id,
    case
        when result in ('true', 'success', 'successful') then 1
        when result in ('false', 'failure', 'failed', 'error') then 2
        when http_status >= 400 then 2
        when http_status is not null then 1
        else 0
    end as status_id,
    http_status::varchar as status_code,
    coalesce(description, action_type) as message,

    -- who, from where, with what
    {'user': coalesce(actor_user, {'name': 'Unknown', 'type_id': 0})} as actor,
    {{ client_endpoint() }} as src_endpoint,
    case
        when coalesce(user_agent, request_method, request_path) is not null then {
            'user_agent': user_agent,
            'http_method': request_method,
            'url': {'path': request_path}
        }
    end as http_request,

    -- on what
    nullif(list_filter([
        {
            'uid': resource_id,
            'name': case when resource_id is null then resource_product end,
            'type': coalesce(resource_type, resource_product)
        },
        {'uid': zone_id, 'name': zone_name, 'type': 'zone'},
        {'uid': owner_id, 'name': owner_name, 'type': 'account'}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    {
        'operation': action_type,
        'service': {'name': 'Cloudflare', 'uid': coalesce(resource_product, resource_type)},
        'request': {'uid': ray_id},
        'response': {'code': http_status}
    } as api,
    {{ ocsf_metadata(
        "Cloudflare", "Cloudflare Audit Logs", event_code="action_type", original_time="original_time",
        log_name="interface", tenant_uid="owner_id"
    ) }} as metadata
from read
