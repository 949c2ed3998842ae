-- Events of an Auth0 tenant with their outcome, and the OCSF objects that the mappings of Auth0 share. Codes are those
-- of "Log Event Type Codes" (auth0.com/docs): they begin with s for a success and f for a failure; longer ones say it.
with routed as (
    {{ audit_events("auth0", ref("stg_auth0"), operation="description") }}
),

read as (
    select
        *,
        {{ ip_or_null("client_address") }} as client_ip,
        case
            when coalesce(user_id, user_name) is not null then {
                'uid': user_id,
                'name': user_name,
                'email_addr': {{ email_or_null("user_name") }},
                'type_id': 1,
                'org': {'uid': organization_id, 'name': organization_name}
            }
        end as subject,
        case
            when coalesce(caller ->> 'user_id', caller ->> 'email', caller ->> 'name') is not null then {
                'uid': caller ->> 'user_id',
                'name': coalesce(caller ->> 'email', caller ->> 'name'),
                'full_name': caller ->> 'name',
                'email_addr': {{ email_or_null("(caller ->> 'email')") }},
                'type_id': 1,
                'programmatic_credentials': case when token_id is not null then [{'uid': token_id}] end
            }
        end as calling_user
    from routed
)

select
    *,
    case
        when class_uid = 6003 then coalesce(
            routed_activity_id,
            case request_method
                when 'GET' then 2 when 'HEAD' then 2 when 'POST' then 1 when 'PUT' then 3 when 'PATCH' then 3
                when 'DELETE' then 4
            end,
            {{ verb_activity("event_words") }}
        )
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then coalesce(description, event_type) end as activity_name,
    case when class_uid = 2004 then 0 else 1 end as severity_id,
    case
        when http_status >= 400 then 2
        when event_type in ('f', 'w', 'pwd_leak', 'mgmt_api_read') then case event_type when 'f' then 2 else 1 end
        when regexp_matches(event_type, '(failed|failure|rejected|limit|exceed|blocked|_fail|pwd_leak)') then 2
        when starts_with(event_type, 'f') then 2
        else 1
    end as status_id,
    coalesce(http_status::varchar, details ->> '$.error.type', details ->> '$.error.oauthError') as status_code,
    case when status_id = 2 then coalesce(details ->> '$.error.message', description) end as status_detail,
    coalesce(description, event_type) as message,

    -- who, from where, with what
    coalesce(calling_user, subject) as actor_user,
    {
        'user': coalesce(
            actor_user, case when coalesce(app_name, app_id) is null then {'name': 'Unknown', 'type_id': 0} end
        ),
        'session': case when session_id is not null then {'uid': session_id} end,
        'app_name': app_name,
        'app_uid': app_id
    } as actor,
    coalesce(subject, calling_user, {'name': 'Unknown', 'type_id': 0}) as user,
    case when session_id is not null then {'uid': session_id, 'issuer': hostname} end as session,
    {{ client_endpoint("coalesce(country_code, city)", {
        "location": "{'country': " ~ country_code_or_null("country_code")
            ~ ", 'city': city, 'region': region, 'lat': lat, 'long': long}"
    }) }} as src_endpoint,
    case
        when coalesce(user_agent, request_method, request_path) is not null then {
            'user_agent': user_agent,
            'http_method': request_method,
            'url': {'path': request_path}
        }
    end as http_request,
    case
        when strategy = 'samlp' then 5
        when strategy in ('oidc', 'google-oauth2', 'waad') then 4
        when strategy in ('ad', 'auth0-adldap') then 12
    end as auth_protocol_id,
    case
        when event_type like 'gd_%' or event_type = 'mfar' then [{
            'factor_type_id': case
                when contains(event_type, 'send_sms') then 1
                when contains(event_type, 'send_voice') then 3
                when contains(event_type, 'send_pn') then 5
                when contains(event_type, 'otp') then 7
                when contains(event_type, 'email') then 8
                when contains(event_type, 'webauthn') then 10
            end
        }]
    end as factors,

    -- on what
    nullif(list_filter([
        {'uid': case when calling_user is not null then subject.uid end, 'name': null, 'type': 'user'},
        {'uid': app_id, 'name': app_name, 'type': 'application'},
        {'uid': organization_id, 'name': organization_name, 'type': 'organization'}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    {
        'operation': coalesce(description, event_type),
        'service': {'name': 'Auth0'},
        'response': {'code': http_status, 'error': details ->> '$.error.type'}
    } as api,
    {{ ocsf_metadata(
        "Auth0", "Auth0 Logs", event_code="event_type", original_time="original_time", log_name="connection",
        tenant_uid="coalesce(tenant_name, hostname)"
    ) }} as metadata
from read
