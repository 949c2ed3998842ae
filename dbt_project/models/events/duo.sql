-- Records of Duo's logs with their outcome, and the OCSF objects that the mappings of Duo share. Factors, results,
-- reasons and actions are those of the Admin API (duo.com/docs/adminapi). Duo writes `unknown` where it knows nothing.
with routed as (
    {{ audit_events("duo", ref("stg_duo"), operation="operation") }}
),

read as (
    select
        routed.*,
        {{ ip_or_null("client_address") }} as client_ip,
        country.code as country_code, -- Duo names countries, OCSF wants their codes
        case
            when log_kind in ('auth', 'trust_monitor') and coalesce(user_name, user_id, email) is not null then {
                'uid': user_id,
                'name': coalesce(user_name, email),
                'email_addr': {{ email_or_null("coalesce(email, user_name)") }},
                'type_id': 1,
                'groups': list_transform(
                    case when json_type(user_groups) = 'ARRAY' then from_json(user_groups, '["VARCHAR"]') end,
                    lambda each: {'name': each}
                )
            }
        end as signing_user,
        case
            when coalesce(actor_name, actor_id, actor_email) is not null then {
                'uid': actor_id,
                'name': coalesce(actor_name, actor_email),
                'email_addr': {{ email_or_null("coalesce(actor_email, actor_name)") }},
                'type_id': case when log_kind = 'admin' and not starts_with(operation, 'o2fa_') then 2 end
            }
        end as acting_user
    from routed
    left join {{ ref("country_codes") }} as country on country.name = routed.country_name
)

select
    *,
    case
        when class_uid = 6003 then coalesce(routed_activity_id, {{ verb_activity("event_words") }})
        when event_type = 'admin:user_update' and object_status is not null then case object_status
            when 'active' then 2 when 'disabled' then 5 when 'locked out' then 9
            else 99
        end
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then coalesce(operation, log_kind) end as activity_name,
    case when result = 'fraud' then 4 when class_uid = 2004 then 0 else 1 end as severity_id,
    case
        when result in ('success', 'allow', 'allowed') then 1
        when result is not null then 2
        when regexp_matches(event_words, '\b(error|failed|failure|lockout|denied)\b') then 2
        when log_kind = 'admin' then 1 -- what administrators did
        else 0
    end as status_id,
    result as status_code,
    reason as status_detail,
    case when log_kind = 'auth' then case when status_id = 1 then 1 when status_id = 2 then 2 end end as action_id,
    coalesce(operation, log_kind) as message,

    -- who, from where, with what
    coalesce(signing_user, acting_user) as actor_user,
    {'user': coalesce(actor_user, {'name': 'Unknown', 'type_id': 0})} as actor,
    case
        -- of offline access the object is the computer's application
        when log_kind = 'admin' and not starts_with(operation, 'o2fa_')
            and coalesce(object_name, object_id, object_email) is not null then {
                'uid': object_id,
                'name': coalesce(object_name, object_email),
                'email_addr': {{ email_or_null("coalesce(object_email, object_name)") }}
            }
    end as target_user,
    {{ client_endpoint("coalesce(client_hostname, country_code, city)", {
        "hostname": "client_hostname",
        "uid": "endpoint_id",
        "location": "{'country': country_code, 'city': city, 'region': region}"
    }) }} as src_endpoint,
    case when user_agent is not null then {'user_agent': user_agent} end as http_request,
    case
        when nullif(factor_name, 'not_available') is not null then [{
            'factor_type_id': case
                when factor_name like '%push%' then 5
                when factor_name like '%sms%' then 1
                when factor_name like '%phone%' then 3
                when factor_name like '%webauthn%' or factor_name like '%security_key%' or factor_name like '%touch_id%'
                    then 10
                when factor_name like '%u2f%' then 9
                when factor_name like '%yubikey%' or factor_name like '%hardware%' or factor_name like '%token%' then 6
                when factor_name like '%passcode%' or factor_name like '%otp%' then 7
                else 99
            end,
            'factor_type': factor_name,
            'provider': 'Duo'
        }]
    end as auth_factors,

    -- on what
    nullif(list_filter([
        {'uid': application_id, 'name': application_name, 'type': 'application'},
        {'uid': object_id, 'name': object_name, 'type': object_type}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    {
        'operation': coalesce(operation, log_kind),
        'service': {'name': 'Duo'}
    } as api,
    {{ ocsf_metadata(
        "Cisco", "Duo", event_code="operation", original_time="original_time", log_name="log_kind",
        correlation_uid="txid", tenant_uid="coalesce(account_id, host)"
    ) }} as metadata
from read
