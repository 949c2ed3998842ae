-- Of each episode what the hours before know, of 90 days: whether the account was on the machine, which of its tags it
-- had met, and how far back the record of logons goes.
{{ config(materialized="ephemeral") }}
with episodes as (
    select user_uid, asset_uid, hour, first_logon_at, tags from {{ ref("logon_episodes") }}
),

seen_assets as (
    select distinct episode.user_uid, episode.asset_uid, episode.hour
    from episodes as episode
    join {{ ref("seen_user_asset") }} as seen
        on seen.user_uid = episode.user_uid and seen.asset_uid = episode.asset_uid
        and seen._event_at < episode.hour and seen._event_at >= episode.hour - interval 90 days
),

seen_tags as (
    select episode.user_uid, episode.hour, list(distinct seen.tag) as seen_tags
    from (select distinct user_uid, hour from episodes) as episode
    join {{ ref("seen_user_asset_tag") }} as seen
        on seen.user_uid = episode.user_uid
        and seen._event_at < episode.hour and seen._event_at >= episode.hour - interval 90 days
    group by episode.user_uid, episode.hour
),

records as (
    select episode.hour, min(seen.hour) as record_from
    from (select distinct hour from episodes) as episode
    join (select distinct date_trunc('hour', _event_at) as hour from {{ ref("seen_user_asset") }}) as seen
        on seen.hour < episode.hour and seen.hour >= episode.hour - interval 90 days
    group by episode.hour
)

select
    episode.user_uid,
    episode.asset_uid,
    episode.hour,
    seen_assets.user_uid is null as is_new_asset,
    list_filter(
        episode.tags, lambda tag: not list_contains(coalesce(seen_tags.seen_tags, []), tag)
    ) as new_tags,
    records.record_from,
    date_diff('second', records.record_from, episode.first_logon_at) as record_seconds
from episodes as episode
left join seen_assets using (user_uid, asset_uid, hour)
left join seen_tags using (user_uid, hour)
left join records using (hour)
