-- Events of 1Password with their outcome, and the OCSF objects that the mappings of 1Password share. Categories,
-- actions and objects are those of the Events API (developer.1password.com): gm is a member of a group, gva and uva are
-- access of a group or user to a vault, sa is a service account.
with routed as (
    {{ audit_events("onepassword", ref("stg_onepassword"), operation="operation") }}
),

read as (
    select
        routed.*,
        {{ ip_or_null("client_address") }} as client_ip,
        coalesce(known.code, case when length(country) = 2 then upper(country) end) as country_code,
        case
            when coalesce(actor_id, actor_name, actor_email) is not null then {
                'uid': actor_id,
                'name': coalesce(actor_email, actor_name),
                'full_name': actor_name,
                'email_addr': {{ email_or_null("actor_email") }},
                'type_id': case
                    when actor_kind in ('user', 'member', 'guest') then 1
                    when actor_kind = 'service_account' then 4
                    when actor_kind is null and feature <> 'audit' then 1
                end
            }
        end as actor_user,
        -- the account of an event about one; a member of a group, or who gets into a vault, is what else is concerned
        case
            when object_type in ('user', 'gm', 'uva', 'mfa', 'invite') then {
                'uid': case when object_type in ('gm', 'uva') then aux_uuid else coalesce(object_uuid, aux_uuid) end,
                'name': case
                    when object_type in ('gm', 'uva') then coalesce(aux_email, aux_name)
                    else coalesce(object_email, object_name)
                end,
                'full_name': case when object_type in ('gm', 'uva') then aux_name else object_name end,
                'email_addr': {{ email_or_null(
                    "(case when object_type in ('gm', 'uva') then aux_email else object_email end)"
                ) }}
            }
        end as named_user,
        case
            when coalesce(struct_extract(named_user, 'uid'), struct_extract(named_user, 'name')) is not null
                then named_user
        end as target_user
    from routed
    left join {{ ref("country_codes") }} as known on known.name = routed.country
)

select
    *,
    case
        when class_uid = 6003 then coalesce(routed_activity_id, {{ verb_activity("event_words") }})
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then operation end as activity_name,
    1 as severity_id,
    case
        when feature <> 'sign_in' then 1
        when category in ('success', 'firewall_reported_success') then 1
        when category is not null then 2
        else 0
    end as status_id,
    category as status_code,
    category_detail as status_detail,
    operation as message,

    -- who, from where, with what
    case when session_id is not null then {'uid': session_id, 'created_time': {{ iso_millis("session_began") }}} end
        as session,
    {
        'user': coalesce(actor_user, case when app_name is null then {'name': 'Unknown', 'type_id': 0} end),
        'session': session,
        'app_name': app_name
    } as actor,
    {{ client_endpoint("coalesce(country_code, city)", {
        "location": "{'country': country_code, 'city': city, 'region': region, 'lat': lat, 'long': long}"
    }) }} as src_endpoint,
    category = 'mfa_failed' or regexp_matches(category_detail, '^(mfa|totp|u2f|webauthn|duo|passkey)') as by_factor,

    -- on what
    nullif(list_filter([
        {'uid': item_uuid, 'name': null, 'type': 'item'},
        {'uid': vault_uuid, 'name': null, 'type': 'vault'},
        {'uid': object_uuid, 'name': coalesce(object_name, object_email), 'type': object_type},
        {'uid': aux_uuid, 'name': coalesce(aux_name, aux_email), 'type': null}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    case
        when class_uid = 3006 then {
            'uid': case when object_type = 'gva' then aux_uuid else object_uuid end,
            'name': coalesce(
                case when object_type = 'gva' then aux_name else object_name end,
                case when coalesce(object_uuid, aux_uuid) is null then 'Unknown' end
            )
        }
    end as "group",
    {
        'operation': operation,
        'service': {'name': '1Password'}
    } as api,
    {{ ocsf_metadata(
        "1Password", "1Password Events", event_code="event_type", original_time="original_time", log_name="feature",
        tenant_uid="account_uuid"
    ) }} as metadata
from read
