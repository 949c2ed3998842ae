-- Events of GitHub's audit log with their outcome, and the OCSF objects that the mappings of GitHub share. Families and
-- actions are those of "Audit log events" (docs.github.com). GitHub writes what was done: an event is a success, unless
-- its action, its HTTP status or the conclusion of its run says otherwise.
with routed as (
    {{ audit_events("github_audit", ref("stg_github__audit")) }}
),

read as (
    select
        *,
        {{ ip_or_null("client_address") }} as client_ip,
        try_cast(status_code as integer) as http_status,
        case
            when coalesce(actor_name, actor_id) is not null then {
                'uid': actor_id,
                'name': actor_name,
                'email_addr': {{ email_or_null("external_identity_nameid") }},
                'uid_alt': coalesce(external_identity_username, external_identity_nameid),
                'type_id': case when is_bot then 4 when is_bot is false then 1 end,
                'programmatic_credentials': case
                    when token_id is not null then [{'uid': token_id, 'type': programmatic_access_type}]
                end
            }
        end as actor_user,
        case
            when coalesce(target_name, target_id, target_email) is not null then {
                'uid': target_id,
                'name': coalesce(target_name, target_email),
                'email_addr': {{ email_or_null("target_email") }},
                'org': {'name': org_name, 'uid': org_id}
            }
        end as target_user
    from routed
)

select
    * exclude (status_code),
    case
        when class_uid = 6003 then coalesce(
            routed_activity_id,
            case
                when family = 'api' then case upper(request_method)
                    when 'GET' then 2 when 'HEAD' then 2 when 'POST' then 1 when 'PUT' then 3 when 'PATCH' then 3
                    when 'DELETE' then 4
                    else 99
                end
            end,
            case operation_type
                when 'create' then 1
                when 'access' then 2
                when 'remove' then 4
                when 'modify' then 3 when 'restore' then 3 when 'transfer' then 3
            end,
            {{ verb_activity("event_words") }}
        )
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    case when class_uid = 2004 then 0 else 1 end as severity_id,
    case
        when http_status >= 400 then 2
        when conclusion in ('failure', 'timed_out', 'startup_failure') then 2
        when conclusion in ('cancelled', 'skipped', 'neutral', 'stale', 'action_required') then 99
        when regexp_matches(event_words, '\b(failed|failure|rejected|denied|blocked)\b') then 2
        else 1
    end as status_id,
    case when status_id = 99 then conclusion end as status,
    coalesce(conclusion, status_code) as status_code,
    reason as status_detail,
    coalesce(description, event_type) as message,

    -- who, from where, with what
    {
        'user': coalesce(actor_user, case when app_name is null then {'name': 'Unknown', 'type_id': 0} end),
        'app_name': app_name,
        'app_uid': app_id
    } as actor,
    {{ client_endpoint("coalesce(country_code, city)", {
        "location": "{'country': " ~ country_code_or_null("country_code")
            ~ ", 'city': city, 'postal_code': postal_code}"
    }) }} as src_endpoint,
    case
        when coalesce(user_agent, request_method, request_path) is not null then {
            'user_agent': user_agent,
            'http_method': upper(request_method),
            'url': {'path': request_path}
        }
    end as http_request,

    -- on what
    nullif(list_filter([
        {'uid': repo_id, 'name': repo_name, 'type': 'repository'},
        {'uid': null, 'name': team_name, 'type': 'team'},
        {'uid': hook_id, 'name': null, 'type': 'hook'},
        {'uid': workflow_id, 'name': case when workflow_id is not null then object_name end, 'type': 'workflow'},
        {'uid': null, 'name': case when workflow_id is null then object_name end, 'type': family},
        {
            'uid': case when target_name is distinct from actor_name then target_id end,
            'name': case when target_name is distinct from actor_name then target_name end,
            'type': 'user'
        },
        {'uid': org_id, 'name': org_name, 'type': 'organization'},
        {'uid': business_id, 'name': business_name, 'type': 'enterprise'}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    case
        when class_uid <> 3006 then null
        when team_name is not null then {'uid': null, 'name': team_name, 'type': 'team'}
        when coalesce(org_name, org_id) is not null then {'uid': org_id, 'name': org_name, 'type': 'organization'}
        else {'uid': business_id, 'name': coalesce(business_name, 'Unknown'), 'type': 'enterprise'}
    end as "group",
    coalesce(
        permission, role_name, nullif(regexp_extract(event_type, '(admin|owner|billing_manager|moderator)', 1), '')
    ) as privilege,
    case when privilege is not null then [privilege] end as privileges,
    {
        'operation': event_type,
        'service': {'name': 'GitHub'},
        'request': {'uid': request_id},
        'response': {'code': http_status}
    } as api,
    {{ ocsf_metadata(
        "GitHub", "GitHub Audit Log", event_code="event_type", original_time="original_time", log_name="family",
        tenant_uid="coalesce(org_name, business_name)"
    ) }} as metadata
from read
