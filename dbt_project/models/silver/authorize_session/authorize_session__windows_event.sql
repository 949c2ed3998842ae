-- Logon sessions that were given privileges or groups (Security 4627, 4672, 4703, 4964).
with read as (
    select
        *,
        case when event_id <> 4672 then {{ undeclared_fields([
            "EnabledPrivilegeList", "DisabledPrivilegeList", "GroupMembership", "SidList",
        ]) }} end as fields
    from {{ ref("windows_event") }}
    where class_uid = 3003
),

events as (
    select
        *,
        -- the session that got them: 4672 writes it as the subject
        case when event_id = 4672 then subject_user_name else target_user_name end as user_name,
        case when event_id = 4672 then subject_user_sid else target_user_sid end as user_sid,
        case when event_id = 4672 then subject_domain_name else target_domain_name end as user_domain,
        case when event_id = 4672 then subject_logon_id else target_logon_id end as session_uid,
        coalesce(privilege_list, {{ field("EnabledPrivilegeList") }}) as given,
        {{ field("DisabledPrivilegeList") }} as taken,
        {{ windows_list("coalesce(" ~ field("GroupMembership") ~ ", " ~ field("SidList") ~ ")") }} as group_sids
    from read
)

select
    -- 4703 enables or disables privileges of a token
    case when event_id = 4703 and given is null and taken is not null then 99 else activity_id end as activity_id,
    case when event_id = 4703 and given is null and taken is not null then 'Remove Privileges' end as activity_name,
    severity_id,
    status_id,
    message,
    case
        when event_id <> 4672 then {
            'user': actor.user,
            'session': actor.session,
            'process': actor.process
        }
    end as actor,
    {
        'name': coalesce(user_name, case when nullif(user_sid, 'S-1-0-0') is null then 'Unknown' end),
        'uid': nullif(user_sid, 'S-1-0-0'),
        'domain': user_domain,
        'type_id': account.type_id,
        'type': account.type,
        'groups': list_transform(group_sids, lambda sid: {'uid': regexp_replace(sid, '^%[{](.*)[}]$', '\1')})
    } as user,
    -- OCSF wants privileges or one group: of several groups the first, all of them are the account's
    case when len(group_sids) > 0 then {'uid': regexp_replace(group_sids[1], '^%[{](.*)[}]$', '\1')} end as group,
    case
        when len(group_sids) > 0 then null else coalesce({{ windows_list("coalesce(given, taken)") }}, ['Unknown'])
    end as privileges,
    {'uid': nullif(session_uid, '0x0')} as session,
    {'hostname': computer_name} as dst_endpoint,
    device,
    {{ observables([
        observable("user.name", 4, "user_name"),
        observable("dst_endpoint.hostname", 1, "computer_name"),
    ]) }} as observables,
    metadata,
    unmapped
from (
    select
        *,
        {{ windows_user("coalesce(user_name, 'Unknown')", "user_sid", "user_domain") }} as account
    from events
)
