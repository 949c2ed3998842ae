-- Sign-ins of Microsoft Entra ID with their outcome, and the OCSF objects that mappings share.
with audited as (
    {{ audit_events("entra_sign_in", ref("stg_entra__sign_in")) }}
),

routed as (
    select
        event.* exclude (routed_activity_id),
        event.routed_activity_id as activity_id,
        coalesce(error.description, event.failure_reason, event.result_description) as error_text,
        coalesce(country.code, {{ country_code_or_null("event.country") }}) as country_code
    from audited as event
    left join {{ ref("entra_error_codes") }} as error on error.code = event.error_code
    left join {{ ref("country_codes") }} as country on country.name = event.country
),

read as (
    select
        *,
        {{ ip_or_null(address_text("client_address")) }} as client_ip,
        {{ address_port("client_address") }} as client_port,
        event_type in ('servicePrincipal', 'managedIdentity') as is_principal,
        -- a name that is an id is none
        case
            when user_principal_name is distinct from user_id
                and not {{ is_guid("user_principal_name") }}
                then user_principal_name
        end as principal_of_user,
        nullif(nullif(user_display_name, user_id), user_principal_name) as full_name,
        lower(error_code) in ('success', 'succeeded') or error_code = '0'
            or (error_code is null and upper(result_signature) = 'SUCCESS') as succeeded,
        -- the policy that counts: the one that refused, else the first that asked for something
        coalesce(
            list_filter(policies, lambda policy: lower(policy.result) in ('failure', '1'))[1],
            list_filter(policies, lambda policy: lower(policy.result) in ('success', '0'))[1]
        ) as decisive_policy,
        list_distinct(list_filter(
            list_append(list_transform(steps, lambda step: step.authenticationMethod), mfa_method),
            lambda method: method is not null and method not in ('', 'Previously satisfied')
        )) as methods
    from routed
)

select
    * replace (coalesce(activity_id, 1) as activity_id),
    coalesce(operation_name, 'Sign-in activity') as message,
    -- 50125 and 50140 interrupt a sign-in that goes on: a password that has to be reset, "Stay signed in?"
    case
        when succeeded then 1
        when error_code in ('50125', '50140') then 99
        when error_code is not null or result_signature is not null then 2
        else 0
    end as status_id,
    case when error_code in ('50125', '50140') then 'Interrupted' end as status,
    coalesce(error_code, result_signature) as status_code,
    case
        when succeeded then additional_details
        else coalesce(failure_reason, error_text, result_description, additional_details)
    end as status_detail,
    case lower(azure_level)
        when '1' then 5 when 'critical' then 5
        when '2' then 4 when 'error' then 4
        when '3' then 3 when 'warning' then 3
        else 1
    end as severity_id,
    case when status_id = 1 then 1 when status_id = 2 then 2 end as action_id,
    case risk_level_name when 'low' then 1 when 'medium' then 2 when 'high' then 3 end as risk_level_id,

    case
        when is_principal then {
            'name': coalesce(principal_name, identity, case when principal_id is null then app_name end),
            'uid': coalesce(principal_id, app_id),
            'full_name': null::varchar,
            'email_addr': null::varchar,
            'type_id': 4,
            'type': 'Service',
            'org': {'name': null::varchar, 'uid': null::varchar},
            'programmatic_credentials': case
                when credential_key_id <> '00000000-0000-0000-0000-000000000000'
                    then [{'uid': credential_key_id, 'type': 'Key'}]
            end
        }
        else {
            'name': coalesce(
                principal_of_user, full_name, user_display_name, identity, case when user_id is null then 'Unknown' end
            ),
            'uid': user_id,
            'full_name': full_name,
            'email_addr': {{ email_or_null("principal_of_user") }},
            'type_id': 1,
            'type': 'User',
            'org': {'name': home_tenant_name, 'uid': home_tenant_id},
            'programmatic_credentials': null::struct("uid" varchar, "type" varchar)[]
        }
    end as user,
    {'uid': session_id, 'issuer': token_issuer} as session,
    {'user': user, 'session': session, 'app_name': app_name, 'app_uid': app_id} as actor,
    {
        'name': coalesce(
            resource_name, case when resource_id is null then coalesce(app_name, 'Microsoft Entra ID') end
        ),
        'uid': coalesce(resource_id, case when resource_name is null then app_id end)
    } as service,
    case
        when coalesce(client_ip, city, country_code, as_number::varchar) is not null then {
            'ip': client_ip,
            'port': client_port,
            'name': case when client_ip is null then coalesce(client_address, 'Unknown') end,
            'location': case
                when coalesce(city, country_code, state) is not null then {
                    'city': city,
                    'region': state,
                    'country': country_code,
                    'lat': case when latitude <> 0 or longitude <> 0 then latitude end, -- 0/0 is no place
                    'long': case when latitude <> 0 or longitude <> 0 then longitude end
                }
            end,
            'autonomous_system': {'number': as_number}
        }
    end as src_endpoint,
    {'user_agent': user_agent} as http_request,
    {{ entra_device("device_id", "device_name", "device_os", "device_is_managed", "client_ip") }} as device,
    case
        when requirement = 'multiFactorAuthentication' or mfa_method is not null then true
        when requirement = 'singleFactorAuthentication' then false
    end as is_mfa,
    list_transform(
        list_transform(methods, lambda method: {'name': method, 'type_id': {{ factor_type_id("method") }}}),
        lambda factor: {
            'factor_type_id': factor.type_id,
            'factor_type': coalesce(
                {{ ocsf_caption("authentication", "auth_factors.factor_type_id", "nullif(factor.type_id, 99)") }},
                factor.name
            )
        }
    ) as auth_factors,
    -- grants of OAuth 2.0 that are attacked for themselves keep their names
    case lower(protocol) when 'oauth2' then 6 when 'saml20' then 5 else case when protocol is not null then 99 end end
        as auth_protocol_id,
    case when lower(protocol) not in ('oauth2', 'saml20') then protocol end as auth_protocol,
    case event_type when 'interactiveUser' then 2 else 99 end as logon_type_id,
    case when event_type <> 'interactiveUser' then event_type end as logon_type,
    {'uid': decisive_policy.id, 'name': decisive_policy.displayName, 'type': null::varchar} as policy,
    {{ ocsf_metadata(
        "Microsoft", "Microsoft Entra ID", event_code="event_type", original_time="created_at", log_name="category",
        correlation_uid="correlation_id", tenant_uid="tenant_id", log_level="azure_level"
    ) }} as metadata
from read
