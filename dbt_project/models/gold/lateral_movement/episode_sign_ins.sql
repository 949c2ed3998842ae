-- The account's sign-ins from outside around an episode: from an hour before its first remote logon to its last, and so
-- the logons themselves where they came from outside.
{{ config(materialized="ephemeral") }}
select
    episode.user_uid,
    episode.asset_uid,
    episode.hour,
    episode.first_logon_at,
    episode.last_logon_at,
    sign_in.signed_in_at as occurred_at,
    sign_in.* exclude (user_uid, user_name, signed_in_at)
from {{ ref("logon_episodes") }} as episode
join {{ ref("outside_sign_ins") }} as sign_in
    on sign_in.user_uid = episode.user_uid
    and sign_in.signed_in_at >= episode.first_logon_at - interval 60 minutes
    and sign_in.signed_in_at <= episode.last_logon_at
