-- Events of Salesforce with their outcome, and the OCSF objects that the mappings of Salesforce share. Kinds are those
-- of event log files and of real-time events (developer.salesforce.com), without `Event` and `EventStore` at their end.
with routed as (
    {{ audit_events("salesforce", ref("stg_salesforce"), operation="action_name") }}
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
                'type_id': case
                    when user_kind in ('autoproc', 'automatedprocess') then 3 when user_id is not null then 1
                end
            }
        end as event_user,
        case
            when coalesce(delegate_id, delegate_name) is not null then {
                'uid': delegate_id,
                'name': delegate_name,
                'email_addr': {{ email_or_null("delegate_name") }},
                'type_id': 2
            }
        end as delegate,
        -- Setup names the user of a change in its words
        nullif(regexp_extract(
            description, '(?i)(?:for|to|from|user) (?:user )?([a-z0-9._+-]+@[a-z0-9-]+[.][a-z0-9.-]*[a-z0-9])', 1
        ), '') as named_user
    from routed
)

select
    *,
    case
        when class_uid = 6003 then coalesce(
            routed_activity_id,
            nullif({{ verb_activity("event_words") }}, 99),
            case request_method
                when 'GET' then 2 when 'POST' then 1 when 'PUT' then 3 when 'PATCH' then 3 when 'DELETE' then 4
            end,
            99
        )
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then coalesce(action_name, 'unknown') end as activity_name,
    case when class_uid = 2004 then 0 else 1 end as severity_id,
    case
        when regexp_matches(lower(status_text), '^(login_no_error|success|s|completed)$') then 1
        when http_status >= 400 then 2
        when status_text in ('A', 'R', 'U') then 99 -- authorisation, redirect, undefined
        when http_status is not null then 1
        when status_text is not null then 2
        when regexp_matches(event_words, '\b(failed|failure|denied)\b') then 2
        when event_kind in ('Logout', 'LoginAs', 'SetupAuditTrail') then 1 -- what was done
        else 0
    end as status_id,
    case when status_id = 99 then status_text end as status,
    coalesce(status_text, http_status::varchar) as status_code,
    case when status_id = 2 then coalesce(status_text, http_status::varchar) end as status_detail,
    coalesce(description, action_name, event_kind) as message,

    -- who, from where, with what
    coalesce(delegate, event_user) as actor_user,
    case
        when coalesce(session_id, login_key) is not null
            then {'uid': coalesce(session_id, login_key), 'uid_alt': login_key}
    end as session,
    {
        'user': coalesce(
            actor_user, case when coalesce(app_name, app_id) is null then {'name': 'Unknown', 'type_id': 0} end
        ),
        'session': session,
        'app_name': app_name,
        'app_uid': app_id
    } as actor,
    case
        when named_user is not null
            then {'name': named_user, 'email_addr': {{ email_or_null("named_user") }}}
    end as target_user,
    {{ client_endpoint("coalesce(country_code, city)", {
        "location": "{'country': " ~ country_code_or_null("country_code")
            ~ ", 'city': city, 'region': region, 'postal_code': postal_code, 'lat': lat, 'long': long}"
    }) }} as src_endpoint,
    case
        when coalesce(user_agent, request_method, request_path) is not null then {
            'user_agent': user_agent,
            'http_method': request_method,
            'url': {'path': request_path}
        }
    end as http_request,
    case
        when login_type ilike '%saml%' then 5
        when login_type in ('i', 'r', 'm') or login_type ilike 'remote access%' or login_sub_type ilike 'oauth%' then 6
    end as auth_protocol_id,

    -- on what
    nullif(list_filter([
        {'uid': null, 'name': entity, 'type': 'entity'},
        {'uid': null, 'name': setup_section, 'type': 'setup'},
        {'uid': app_id, 'name': app_name, 'type': 'application'}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    {
        'operation': coalesce(action_name, 'Unknown'),
        'service': {'name': 'Salesforce', 'uid': event_kind},
        'request': {'uid': request_id},
        'response': {'code': http_status}
    } as api,
    {{ ocsf_metadata(
        "Salesforce", "Salesforce", event_code="event_type", original_time="original_time", log_name="event_kind",
        correlation_uid="request_id", tenant_uid="organization_id"
    ) }} as metadata
from read
