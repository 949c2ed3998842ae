-- Episodes with all that is known of them: one row each, whether it speaks for a signal or not.
{{ config(materialized="ephemeral") }}
with denials as (
    select user_uid, asset_uid, hour, count(distinct event_uid) as mfa_denied
    from {{ ref("episode_sign_ins") }}
    where status_id = 2 and is_mfa
    group by user_uid, asset_uid, hour
),

-- new credentials that another account took on (seclogo) in the hour before: a hash that was passed leaves such a logon
passed as (
    select
        episode.user_uid, episode.asset_uid, episode.hour,
        first({'host': logon.host, 'at': logon.logon_at} order by logon.logon_at, logon.event_uid) as taken
    from {{ ref("logon_episodes") }} as episode
    join {{ ref("host_logons") }} as logon
        on logon.is_new_credentials and logon.outbound_user_name = episode.user_name
        and logon.logon_at between episode.first_logon_at - interval 60 minutes and episode.last_logon_at
    group by episode.user_uid, episode.asset_uid, episode.hour
),

followed as (
    select
        user_uid, asset_uid, hour,
        list_sort(list(distinct what) filter (where kind = 'service_created')) as services,
        count(distinct event_uid) filter (where kind = 'special_privileges') as special_privileges,
        count(distinct event_uid) filter (where kind = 'encoded_powershell') as encoded_powershell,
        count(distinct event_uid) filter (where kind = 'lsass_access') as lsass_access,
        list_sort(list(distinct what) filter (where kind = 'run_key')) as run_keys,
        max(_event_at) as last_trace_at
    from {{ ref("episode_traces") }}
    group by user_uid, asset_uid, hour
),

sensitive as (
    select
        episode.user_uid, episode.asset_uid, episode.hour,
        first({'label': known.label, 'tag': known.tag} order by known.rank, known.tag) as found
    from {{ ref("logon_episodes") }} as episode
    join {{ ref("sensitive_tags") }} as known
        on list_contains(episode.tags, known.tag)
        and (not known.interactive_only or list_has_any(episode.logon_types, [10, 12]))
    group by episode.user_uid, episode.asset_uid, episode.hour
)

select
    episode.*,
    threat.hostile,
    place.travel,
    place.new_country,
    place.new_country_name,
    place.new_asn,
    coalesce(denials.mfa_denied, 0) as mfa_denied,
    passed.taken,
    coalesce(followed.services, []) as services,
    coalesce(followed.special_privileges, 0) as special_privileges,
    coalesce(followed.encoded_powershell, 0) as encoded_powershell,
    coalesce(followed.lsass_access, 0) as lsass_access,
    coalesce(followed.run_keys, []) as run_keys,
    followed.last_trace_at,
    past.record_from,
    past.record_seconds,
    past.is_new_asset,
    past.new_tags,
    sensitive.found.label as sensitive_label,
    sensitive.found.tag as sensitive_tag
from {{ ref("logon_episodes") }} as episode
join {{ ref("episode_past") }} as past using (user_uid, asset_uid, hour)
left join {{ ref("episode_threats") }} as threat using (user_uid, asset_uid, hour)
left join {{ ref("episode_places") }} as place using (user_uid, asset_uid, hour)
left join denials using (user_uid, asset_uid, hour)
left join passed using (user_uid, asset_uid, hour)
left join followed using (user_uid, asset_uid, hour)
left join sensitive using (user_uid, asset_uid, hour)
