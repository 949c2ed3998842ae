-- GitLab's audit events with their outcome, and the OCSF objects that the mappings of GitLab share. Names are those of
-- "Audit event types" (docs.gitlab.com). GitLab writes what was done: an event is a success, unless its name says
-- otherwise.
with routed as (
    {{ audit_events("gitlab_audit", ref("stg_gitlab__audit")) }}
),

read as (
    select
        *,
        {{ ip_or_null("client_address") }} as client_ip,
        case
            when coalesce(author_id, author_name, author_email) is not null then {
                'uid': author_id,
                'name': coalesce(author_name, author_email),
                'email_addr': {{ email_or_null("author_email") }},
                'type_id': case when author_class = 'User' then 1 when author_class like '%Token%' then 4 end
            }
        end as actor_user,
        case
            when target_type = 'User' and coalesce(target_id, target_name) is not null then {
                'uid': target_id,
                'name': target_name,
                'email_addr': {{ email_or_null("target_name") }}
            }
        end as target_user
    from routed
)

select
    *,
    case
        when class_uid = 6003 then coalesce(routed_activity_id, {{ verb_activity("event_words") }})
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then nullif(event_type, '') end as activity_name,
    1 as severity_id,
    case when regexp_matches(event_words, '\b(failed|failure|rejected|denied)\b') then 2 else 1 end as status_id,
    coalesce(description, nullif(event_type, '')) as message,

    -- who, from where
    {'user': coalesce(actor_user, {'name': 'Unknown', 'type_id': 0})} as actor,
    {{ client_endpoint() }} as src_endpoint,
    case
        when factor_name is not null then [{
            'factor_type_id': case
                when regexp_matches(lower(factor_name), 'webauthn|u2f|passkey') then 10
                when regexp_matches(lower(factor_name), 'two.factor|otp') then 7
                when regexp_matches(lower(factor_name), 'standard|password|ldap') then 11
                else 99
            end,
            'factor_type': factor_name
        }]
    end as auth_factors,

    -- on what
    nullif(list_filter([
        {'uid': target_id, 'name': target_name, 'type': target_type},
        {'uid': entity_id, 'name': entity_path, 'type': entity_type}
    ], lambda each: coalesce(each.uid, each.name) is not null), []) as resources,
    {
        'operation': coalesce(nullif(event_type, ''), 'Unknown'),
        'service': {'name': 'GitLab'},
        'request': {'uid': correlation_id}
    } as api,
    {{ ocsf_metadata(
        "GitLab", "GitLab Audit Events", event_code="nullif(event_type, '')", original_time="original_time",
        log_name="entity_type", correlation_uid="correlation_id"
    ) }} as metadata
from read
