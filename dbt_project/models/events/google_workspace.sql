-- Activities of Google Workspace with their outcome, and the OCSF objects that the mappings of Workspace share.
-- Applications, events and parameters are those of "Activity events" (developers.google.com/workspace/admin/reports).
-- An activity is a success, unless its event or a parameter of it says otherwise.
with routed as (
    {{ audit_events("google_workspace", ref("stg_google__workspace"), operation="event_name") }}
),

read as (
    select
        *,
        {{ ip_or_null("coalesce(client_address, params ->> 'ip_address', params ->> 'IP_ADDRESS')") }} as client_ip,
        -- a parameter of several values has the first of them as its text
        case
            when json_type(params -> 'login_challenge_method') = 'ARRAY'
                then from_json(params -> 'login_challenge_method', '["VARCHAR"]')
            else [params ->> 'login_challenge_method']
        end as methods,
        coalesce(
            params ->> 'USER_EMAIL', params ->> 'affected_email_address', params ->> 'target_user',
            params ->> 'user_email', params ->> 'member_id', params ->> 'user', params ->> 'DEVICE_USER'
        ) as target_email,
        coalesce(params ->> 'GROUP_EMAIL', params ->> 'group_email', params ->> 'group_id', params ->> 'GROUP_NAME')
            as group_email,
        coalesce(params ->> 'doc_id', params ->> 'resource_id', resource_details[1] ->> 'id') as document_id,
        coalesce(params ->> 'doc_title', params ->> 'resource_title', resource_details[1] ->> 'title')
            as document_title
    from routed
)

select
    *,
    case
        when class_uid = 6003 then coalesce(routed_activity_id, {{ verb_activity("event_words") }})
        -- a document that is taken back from somebody
        when class_uid = 6006 and routed_activity_id = 12
            and (params ->> 'new_value') in ('none', '["none"]', 'private', '["private"]') then 13
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then coalesce(event_name, application) end as activity_name,
    case
        when class_uid <> 2004 then 1
        else case upper(params ->> 'severity') when 'LOW' then 2 when 'MEDIUM' then 3 when 'HIGH' then 4 else 0 end
    end as severity_id,
    coalesce(params ->> 'login_challenge_status', params ->> 'saml_status_code') as outcome_text,
    case
        when regexp_matches(event_words, '\b(failure|failed|fail|denied|deny|blocked|reject(ed)?)\b') then 2
        when regexp_matches(outcome_text, '(?i)fail|error|denied|incorrect|responder|requester') then 2
        else 1
    end as status_id,
    outcome_text as status_code,
    coalesce(
        params ->> 'login_failure_type', params ->> 'failure_type', params ->> 'LOGIN_FAILURE_REASON',
        params ->> 'deletion_reason'
    ) as status_detail,
    coalesce(event_name, application) as message,

    -- who, from where, with what
    case
        when coalesce(actor_email, actor_id, actor_key) is not null then {
            'uid': actor_id,
            'name': coalesce(actor_email, case when actor_id is null then actor_key end),
            'email_addr': {{ email_or_null("actor_email") }},
            'type_id': case
                when actor_key = 'SYSTEM' then 3
                when caller_type = 'KEY' then 4
                when coalesce(actor_email, actor_id) is not null then 1
            end
        }
    end as actor_user,
    {
        'user': coalesce(
            actor_user, case when coalesce(app_name, app_id) is null then {'name': 'Unknown', 'type_id': 0} end
        ),
        'app_name': coalesce(app_name, case when actor_email is not null or actor_id is not null then actor_key end),
        'app_uid': app_id
    } as actor,
    case
        when target_email is not null then {
            'name': target_email,
            'email_addr': {{ email_or_null("target_email") }}
        }
    end as target_user,
    {{ client_endpoint("coalesce(country_code, as_number::varchar)", {
        "location": "{'country': " ~ country_code_or_null("country_code") ~ ", 'region': region}",
        "autonomous_system": "{'number': as_number}"
    }) }} as src_endpoint,
    case
        when coalesce(params ->> 'user_agent', params ->> 'USER_AGENT') is not null
            then {'user_agent': coalesce(params ->> 'user_agent', params ->> 'USER_AGENT')}
    end as http_request,
    list_transform(
        list_filter(methods, lambda method: method is not null and method not in ('none', '')),
        lambda method: {
            'factor_type_id': case
                when method = 'google_prompt' then 5
                when method in ('security_key', 'passkey', 'security_key_otp') then 10
                when method in ('google_authenticator', 'offline_otp', 'backup_code') then 7
                when method = 'password' then 11
                when method like '%email%' then 8
                when method = 'access_to_preregistered_phone' or method like 'idv_%phone' then 1
                else 99
            end,
            'factor_type': method
        }
    ) as factors,

    -- on what
    nullif(list_filter(list_concat(
        [
            {'uid': document_id, 'name': document_title, 'type': 'document'},
            {'uid': params ->> 'client_id', 'name': params ->> 'app_name', 'type': 'application'},
            {'uid': params ->> 'OAUTH2_APP_ID', 'name': params ->> 'OAUTH2_APP_NAME', 'type': 'application'},
            {'uid': null, 'name': params ->> 'APPLICATION_NAME', 'type': 'application'},
            {'uid': null, 'name': params ->> 'SETTING_NAME', 'type': 'setting'},
            {'uid': params ->> 'ROLE_ID', 'name': params ->> 'ROLE_NAME', 'type': 'role'},
            {'uid': null, 'name': params ->> 'DOMAIN_NAME', 'type': 'domain'},
            {'uid': null, 'name': params ->> 'ORG_UNIT_NAME', 'type': 'org_unit'},
            {'uid': null, 'name': group_email, 'type': 'group'},
            {'uid': null, 'name': target_email, 'type': 'user'},
            {'uid': params ->> 'event_id', 'name': params ->> 'event_title', 'type': 'calendar_event'},
            {'uid': params ->> 'calendar_id', 'name': null, 'type': 'calendar'},
            {'uid': params ->> 'room_id', 'name': params ->> 'room_name', 'type': 'room'},
            {'uid': params ->> 'conference_id', 'name': params ->> 'meeting_code', 'type': 'meeting'},
            {'uid': params ->> 'matter_id', 'name': params ->> 'matter_title', 'type': 'matter'},
            {
                'uid': coalesce(params ->> 'DIRECTORY_DEVICE_ID', params ->> 'DEVICE_ID'),
                'name': params ->> 'DEVICE_NAME',
                'type': 'device'
            }
        ],
        list_transform(
            list_filter(resource_details, lambda each: (each ->> 'id') is distinct from document_id),
            lambda each: {'uid': each ->> 'id', 'name': each ->> 'title', 'type': each ->> 'type'}
        )
    ), lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    case
        when class_uid = 3006 then {'name': coalesce(group_email, 'Unknown')}
    end as "group",
    case
        when class_uid <> 3005 then null
        when json_type(params -> 'scope') = 'ARRAY' then from_json(params -> 'scope', '["VARCHAR"]')
        when coalesce(
            params ->> 'scope', params ->> 'ROLE_NAME', params ->> 'PRIVILEGE_NAME', params ->> 'PRODUCT_NAME',
            params ->> 'NEW_VALUE'
        ) is not null then [coalesce(
            params ->> 'scope', params ->> 'ROLE_NAME', params ->> 'PRIVILEGE_NAME', params ->> 'PRODUCT_NAME',
            params ->> 'NEW_VALUE'
        )]
        when regexp_matches(event_name, 'ADMIN_PRIVILEGE') then ['Administrator']
        else ['Unknown']
    end as privileges,
    case
        when class_uid = 6006 then {
            'uid': document_id,
            'name': coalesce(document_title, 'Unknown'),
            'type_id': case when (params ->> 'doc_type') in ('folder', 'shared_drive', 'team_drive') then 2 else 1 end,
            'owner': case
                when (params ->> 'owner') is not null then {
                    'name': params ->> 'owner',
                    'email_addr': {{ email_or_null("(params ->> 'owner')") }}
                }
            end
        }
    end as file,
    {
        'operation': coalesce(params ->> 'method_name', event_name, application, 'Unknown'),
        'service': {'name': 'Google Workspace', 'uid': application}
    } as api,
    {{ ocsf_metadata(
        "Google", "Google Workspace", event_code="event_name", original_time="original_time", log_name="application",
        tenant_uid="customer_id"
    ) }} as metadata
from read
