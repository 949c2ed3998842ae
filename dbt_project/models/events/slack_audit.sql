-- Slack audit events with their outcome, and the OCSF objects that the mappings of Slack share. Actions and entities
-- are those of the Audit Logs API (docs.slack.dev). Slack writes what was done: an event is a success, unless its
-- action says otherwise. USLACKUSER is Slack itself.
with routed as (
    {{ audit_events("slack_audit", ref("stg_slack__audit")) }}
),

read as (
    select
        * replace (
            -- an action may end in the state of its object (`channel_can_huddle_pref_changed_from_org_level`)
            regexp_replace(event_words, ' from org level$', '') as event_words
        ),
        {{ ip_or_null("client_address") }} as client_ip,
        coalesce(target ->> 'id', details ->> 'target_user', details ->> 'target_user_id') as target_id,
        coalesce(target ->> 'name', target ->> 'title') as target_name,
        coalesce(details -> 'changed_permissions', details -> 'permissions') as permissions
    from routed
),

named as (
    select
        *,
        case
            when coalesce(actor_id, actor_name, actor_email) is not null then {
                'uid': actor_id,
                'name': coalesce(actor_name, actor_email),
                'email_addr': {{ email_or_null("actor_email") }},
                'type_id': case when actor_id = 'USLACKUSER' then 3 when actor_type = 'user' then 1 end,
                'org': {'uid': actor_team}
            }
        end as actor_user,
        case
            when entity_type = 'user' and coalesce(target_id, target_name, target ->> 'email') is not null then {
                'uid': target_id,
                'name': coalesce(target_name, target ->> 'email'),
                'email_addr': {{ email_or_null("(target ->> 'email')") }},
                'type_id': 1,
                'org': {'uid': target ->> 'team'}
            }
            when entity_type is distinct from 'user' and (details ->> 'target_user') is not null
                then {'uid': details ->> 'target_user', 'name': null, 'email_addr': null, 'type_id': 1, 'org': null}
        end as target_user
    from read
)

select
    *,
    case
        when class_uid = 6003 then coalesce(routed_activity_id, {{ verb_activity("event_words") }})
        else coalesce(routed_activity_id, 99)
    end as activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    1 as severity_id,
    case
        when regexp_matches(event_words, '\b(failed|failure|blocked|error)$') then 2
        else 1
    end as status_id,
    case when json_type(details -> 'reason') = 'VARCHAR' then details ->> 'reason' end as status_detail,
    event_type as message,

    -- who, from where, with what
    {'uid': session_id, 'issuer': details ->> 'idp_entity_id'} as session,
    {
        'user': coalesce(
            actor_user,
            case when coalesce(session_id, app_id, app_name) is null then {'name': 'Unknown', 'type_id': 0} end
        ),
        'session': case when session_id is not null then {'uid': session_id} end,
        'app_name': app_name,
        'app_uid': app_id
    } as actor,
    {{ client_endpoint() }} as src_endpoint,
    case when user_agent is not null then {'user_agent': user_agent} end as http_request,

    -- on what
    case
        when coalesce(target_id, target_name) is not null then [{
            'uid': target_id,
            'name': coalesce(target_name, target ->> 'email'),
            'type': entity_type
        }]
    end as resources,
    case
        -- members come to user groups, channels and workspaces
        when class_uid <> 3006 then null
        when entity_type <> 'user' then {'uid': target_id, 'name': target_name, 'type': entity_type}
        when coalesce(details ->> 'usergroup_id', details ->> 'subteam') is not null
            then {'uid': coalesce(details ->> 'usergroup_id', details ->> 'subteam'), 'name': null, 'type': 'usergroup'}
        else {'uid': location_id, 'name': coalesce(location_name, 'Unknown'), 'type': location_type}
    end as "group",
    -- roles are named by the action (`role_change_to_admin`), the entity or the details
    case
        when starts_with(event_type, 'role_change_to_') then [substr(event_type, 16)]
        when regexp_matches(event_type, '^(service_)?(owner|admin)_') then [regexp_extract(event_type, '(owner|admin)')]
        when entity_type in ('role', 'account_type_role') then [coalesce(target_name, target_id)]
        when json_type(permissions) = 'ARRAY' then list_transform(
            from_json(permissions, '["JSON"]'), lambda permission: coalesce(permission ->> 'name', permission ->> '$')
        )
    end as privileges,
    case
        when class_uid = 6006 then {
            'uid': target_id,
            'name': coalesce(target_name, 'Unknown'),
            'type_id': 1,
            'mime_type': case when contains(target ->> 'filetype', '/') then target ->> 'filetype' end,
            'ext': case when not contains(target ->> 'filetype', '/') then target ->> 'filetype' end,
            'url': {'url_string': details ->> 'url_private'}
        }
    end as file,
    {
        'operation': event_type,
        'service': {'name': 'Slack'}
    } as api,
    {{ ocsf_metadata(
        "Slack", "Slack Audit Logs", event_code="event_type", original_time="original_time", tenant_uid="location_id"
    ) }} as metadata
from named
