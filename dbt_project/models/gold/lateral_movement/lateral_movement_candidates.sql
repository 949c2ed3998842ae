-- Candidates of lateral movement: episodes (logons of an account on a machine from another one, in an event hour) for
-- which some factor holds. What is new is new against the hours before, of 90 days; so an hour's rows follow from that
-- window alone, whenever and in whatever order they are built.
select
    episode.first_logon_at as _event_at,
    md5(concat_ws(
        '|', 'lateral_movement', episode.user_uid, episode.asset_uid, strftime(episode.hour, '%Y-%m-%dT%H')
    )) as finding_uid,

    -- who and where
    episode.user_uid,
    episode.asset_uid,
    episode.first_logon_at,
    episode.last_logon_at,
    episode.logons,
    episode.user_name,
    episode.host,
    episode.tags,
    episode.logon_types,
    episode.addresses,
    episode.protocols,
    episode.is_ntlm_without_key,
    episode.is_built_in_administrator,

    -- before the logon
    episode.hostile,
    episode.travel,
    episode.new_country,
    episode.new_country_name,
    episode.new_asn,
    episode.mfa_denied,
    episode.taken,

    -- after it
    episode.services,
    episode.special_privileges,
    episode.encoded_powershell,
    episode.lsass_access,
    episode.run_keys,
    episode.last_trace_at,

    -- what the past, the directory and the CMDB say
    episode.record_from,
    episode.record_seconds,
    episode.is_new_asset,
    episode.new_tags,
    episode.sensitive_label,
    episode.sensitive_tag,
    episode.is_privileged,
    episode.is_expected_administrator,
    episode.full_name,
    episode.title,
    episode.department,
    episode.asset_name,
    episode.asset_role,
    episode.asset_type,
    episode.asset_owner,

    factors.factors,
    factors.score,
    evidence.events,
    evidence.event_count,
    epoch_ms(evidence.logged_time) as _arrived_at
from {{ ref("episode_facts") }} as episode
join {{ ref("episode_factors") }} as factors using (user_uid, asset_uid, hour)
join {{ ref("episode_evidence") }} as evidence using (user_uid, asset_uid, hour)
where factors.is_candidate
