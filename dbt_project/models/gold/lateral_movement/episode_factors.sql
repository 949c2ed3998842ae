-- The factors that hold of an episode, with their weights (seed signal_factors) and the facts that say why; `score` is
-- the sum of the weights. One row for each episode with a factor.
{{ config(materialized="ephemeral") }}
with facts as (
    select user_uid, asset_uid, hour, unnest([
        {'factor': 'new_asset', 'fact': case
            when is_new_asset then 'no earlier logon of ' || user_name || ' on ' || host || ' on record' end},
        {'factor': 'new_asset_tag', 'fact': case
            when is_new_asset and len(new_tags) > 0
                then 'no earlier logon on a machine tagged ' || array_to_string(new_tags, ', ') end},
        {'factor': 'new_country', 'fact': 'signed in from ' || new_country_name},
        {'factor': 'new_asn', 'fact': 'signed in from AS' || new_asn.number || coalesce(' ' || new_asn.name, '')},
        {'factor': 'privileged_identity', 'fact': case
            when is_built_in_administrator then 'built-in administrator'
            when is_privileged
                then coalesce(nullif(array_to_string(user_groups, ', '), ''), 'marked as privileged') end},
        {'factor': 'sensitive_asset', 'fact': 'tagged ' || sensitive_tag},
        {'factor': 'hostile_address', 'fact': hostile.address || ' on ' || hostile.feed
            || coalesce(' as ' || hostile.name, '')
            || ', known since ' || strftime(hostile.learned_at, '%Y-%m-%dT%H:%M:%SZ')
            || ', ' || {{ span_in_words("hostile.seconds_before") }} || ' before'},
        {'factor': 'impossible_travel', 'fact': coalesce(travel.from_city, travel.from_country, 'elsewhere')
            || ' to ' || coalesce(travel.city, travel.country, 'elsewhere')
            || format(', {:,} km in {} minutes, {:,} km/h',
                travel.kilometres, round(travel.seconds / 60.0)::bigint, travel.kilometres_per_hour)},
        {'factor': 'repeated_mfa_denials', 'fact': case
            when mfa_denied >= 3 then mfa_denied || ' challenges denied' end},
        {'factor': 'pass_the_hash', 'fact': case
            when is_ntlm_without_key then 'NTLM network logon by NtLmSsp without session key'
            when taken is not null
                then 'new credentials of ' || user_name || ' taken on at ' || taken.host || ' (seclogo)' end},
        {'factor': 'special_privileges', 'fact': case
            when special_privileges > 0 then 'special privileges on ' || host end},
        {'factor': 'service_created', 'fact': case
            when len(services) > 0 then 'service ' || array_to_string(services, ', ') end},
        {'factor': 'encoded_powershell', 'fact': case
            when encoded_powershell > 0 then 'encoded PowerShell on ' || host end},
        {'factor': 'lsass_access', 'fact': case
            when lsass_access > 0 then 'memory of LSASS read on ' || host end},
        {'factor': 'run_key', 'fact': case
            when len(run_keys) > 0 then 'Run key ' || array_to_string(run_keys, ', ') end},
        {'factor': 'expected_administrator', 'fact': case
            when is_expected_administrator then user_name || ' administers ' || host end}
    ], recursive := true)
    from {{ ref("episode_facts") }}
)

select
    facts.user_uid,
    facts.asset_uid,
    facts.hour,
    list({'factor': weight.factor, 'weight': weight.weight, 'fact': facts.fact} order by weight.position) as factors,
    sum(weight.weight)::integer as score,
    max(weight.weight) > 0 as is_candidate
from facts
join {{ ref("signal_factors") }} as weight
    on weight.product = 'lateral_movement' and weight.factor = facts.factor
where facts.fact is not null
group by facts.user_uid, facts.asset_uid, facts.hour
