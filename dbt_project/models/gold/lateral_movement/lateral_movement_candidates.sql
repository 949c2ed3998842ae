-- Candidates of lateral movement: logons from another machine, by account, machine and event hour, for which some factor holds.
--
-- Around each: the account's sign-ins from outside in the hour before, and what happened on the machine in the hour after.
-- What is new for the account is new against the hours before, of 90 days; so an hour's rows follow from that window alone,
-- whenever and in whatever order they are built. Every factor that holds stands in `factors` with its weight (seed
-- signal_factors) and the fact; `score` is their sum.
{% set around = "interval 60 minutes" %}
{% set past = "interval 90 days" %}
{% set least_confidence, least_kilometres, least_speed, least_denied = 30, 300, 1000, 3 %}
with logons as materialized (
    select *, date_trunc('hour', logon_at) as hour
    from {{ ref("host_logons") }}
),

-- one row an account, machine and hour
episodes as materialized (
    select
        user_uid,
        asset_uid,
        hour,
        min(logon_at) as first_logon_at,
        max(logon_at) as last_logon_at,
        count(*) as logons,
        first(user_name order by logon_at, event_uid) as user_name,
        first(host order by logon_at, event_uid) as host,
        first(identity order by logon_at, event_uid) as identity,
        first(asset order by logon_at, event_uid) as asset,
        first(tags order by logon_at, event_uid) as tags,
        list_sort(list(distinct logon_type_id)) as logon_types,
        list_sort(list(distinct address) filter (where address is not null)) as addresses,
        list_sort(list(distinct auth_protocol) filter (where auth_protocol is not null)) as protocols,
        bool_or(is_ntlm_without_key) as is_ntlm_without_key,
        bool_or(is_built_in_administrator) as is_built_in_administrator
    from logons
    where is_remote
    group by user_uid, asset_uid, hour
),

sign_ins as (
    select * exclude (signed_in_at, user_name), signed_in_at as occurred_at
    from {{ ref("outside_sign_ins") }}
),

-- sign-ins in the hour before the episode, and the logons themselves where they came from outside
arrivals as materialized (
    select episode.user_uid, episode.asset_uid, episode.hour, episode.first_logon_at, episode.last_logon_at, sign_in.* exclude (user_uid)
    from episodes as episode
    join sign_ins as sign_in
        on sign_in.user_uid = episode.user_uid
        and sign_in.occurred_at >= episode.first_logon_at - {{ around }} and sign_in.occurred_at <= episode.last_logon_at
),

-- the addresses among them, and whether a threat list named them by the time of the logon
addresses as (
    select distinct address, {{ ip_hex("address") }} as hex
    from arrivals
    where status_id = 1 and known_network is null
),

keys as (
    select address, ('0x' || left(hex, 16))::ubigint as key_high, ('0x' || right(hex, 16))::ubigint as key_low
    from addresses
    where hex is not null
),

masked as (
    select address, prefix,
        case when prefix >= 64 then key_high when prefix = 0 then 0 else (key_high >> (64 - prefix)) << (64 - prefix) end::ubigint as key_high,
        case when prefix >= 128 then key_low when prefix <= 64 then 0 else (key_low >> (128 - prefix)) << (128 - prefix) end::ubigint as key_low
    from keys
    cross join (select distinct prefix::integer as prefix from {{ ref("known_indicators") }})
),

-- every version of the entries that name them; an entry is known since it was listed without a gap, whatever changed of it
versions as (
    select masked.address, indicator.*,
        max(indicator.valid_to) over (
            partition by masked.address, indicator.feed, indicator.value order by indicator.valid_from rows between unbounded preceding and 1 preceding
        ) as listed_until
    from masked
    join {{ ref("known_indicators") }} as indicator
        on indicator.prefix = masked.prefix and indicator.key_high = masked.key_high and indicator.key_low = masked.key_low
),

spells as (
    select *, count_if(listed_until is null or listed_until < valid_from) over (partition by address, feed, value order by valid_from) as spell
    from versions
),

listed as (
    select *, min(learned_at) over (partition by address, feed, value, spell) as known_since
    from spells
),

flagged as (
    select
        arrival.user_uid, arrival.asset_uid, arrival.hour,
        listed.address, listed.name, listed.category, listed.malware, listed.confidence, listed.feed, listed.version, listed.known_since,
        max(arrival.occurred_at) as used_at,
        greatest(arrival.first_logon_at, least(arrival.last_logon_at, listed.known_since)) as logon_at
    from (select * from arrivals where status_id = 1) as arrival
    join listed
        on listed.address = arrival.address and listed.confidence >= {{ least_confidence }}
        and listed.learned_at <= arrival.last_logon_at
        and listed.valid_from <= arrival.last_logon_at and listed.valid_to > arrival.first_logon_at
    group by all
),

hostile as (
    select user_uid, asset_uid, hour,
        first({'address': address, 'used_at': used_at, 'name': name, 'category': category, 'malware': malware, 'feed': feed, 'version': version,
            'learned_at': known_since, 'seconds_before': date_diff('second', known_since, logon_at)}
            order by confidence desc, known_since, feed, name, version, address) as hostile
    from flagged
    group by user_uid, asset_uid, hour
),

-- what is new for the account, by the hours before
accounts as (
    select distinct user_uid from episodes
),

countries_before as (
    select * from {{ ref("seen_user_country") }} where user_uid in (from accounts)
),

asns_before as (
    select * from {{ ref("seen_user_asn") }} where user_uid in (from accounts)
),

assets_before as (
    select * from {{ ref("seen_user_asset") }}
),

tags_before as (
    select * from {{ ref("seen_user_asset_tag") }} where user_uid in (from accounts)
),

known_countries as (
    select arrival.event_uid, arrival.user_uid, arrival.asset_uid, arrival.hour, bool_or(seen.country = arrival.location.country) as is_known
    from arrivals as arrival
    join countries_before as seen on seen.user_uid = arrival.user_uid
        and seen._event_at < date_trunc('hour', arrival.occurred_at) and seen._event_at >= arrival.hour - {{ past }}
    group by all
),

known_asns as (
    select arrival.event_uid, arrival.user_uid, arrival.asset_uid, arrival.hour, bool_or(seen.as_number = arrival.autonomous_system.number) as is_known
    from arrivals as arrival
    join asns_before as seen on seen.user_uid = arrival.user_uid
        and seen._event_at < date_trunc('hour', arrival.occurred_at) and seen._event_at >= arrival.hour - {{ past }}
    group by all
),

-- of an account without any country on record, nothing is new
new_places as materialized (
    select arrival.*,
        coalesce(not country.is_known, false) as is_new_country,
        coalesce(not asn.is_known, false) as is_new_asn
    from arrivals as arrival
    left join known_countries as country using (event_uid, user_uid, asset_uid, hour)
    left join known_asns as asn using (event_uid, user_uid, asset_uid, hour)
    where arrival.status_id = 1 and arrival.known_network is null
),

novelty as (
    select user_uid, asset_uid, hour,
        first(location.country order by occurred_at, address) filter (where is_new_country) as new_country,
        first(autonomous_system order by occurred_at, address) filter (where is_new_asn) as new_asn
    from new_places
    group by user_uid, asset_uid, hour
),

-- the fastest journey to a sign-in from a place that is new for the account; the address of a VPN is no place
journeys as (
    select arrival.user_uid, arrival.asset_uid, arrival.hour, arrival.occurred_at, arrival.location as reached, earlier.city as from_city, earlier.country as from_country,
        {{ kilometres("earlier.lat", "earlier.long", "arrival.location.lat", "arrival.location.long") }} as kilometres,
        greatest(date_diff('second', case when earlier.last_at < arrival.occurred_at then earlier.last_at else earlier.first_at end, arrival.occurred_at), 60) as seconds
    from new_places as arrival
    join {{ ref("user_sign_ins") }} as earlier
        on earlier.user_uid = arrival.user_uid
        and earlier.first_at < arrival.occurred_at and earlier._event_at >= arrival.hour - interval 24 hours
        and earlier.address <> arrival.address and earlier.known_network is null
    where (arrival.is_new_country or arrival.is_new_asn)
        and earlier.lat is not null and arrival.location.lat is not null
),

travel as (
    select user_uid, asset_uid, hour,
        first({'from_city': from_city, 'from_country': from_country, 'city': reached.city, 'country': reached.country,
            'kilometres': round(kilometres)::bigint, 'seconds': seconds, 'kilometres_per_hour': round(kilometres * 3600 / seconds)::bigint}
            order by kilometres / seconds desc, occurred_at) as travel
    from journeys
    where kilometres >= {{ least_kilometres }} and kilometres * 3600 / seconds >= {{ least_speed }}
    group by user_uid, asset_uid, hour
),

denials as (
    select user_uid, asset_uid, hour, count(distinct event_uid) as mfa_denied
    from arrivals
    where status_id = 2 and is_mfa
    group by user_uid, asset_uid, hour
),

-- new credentials that another account took on (seclogo) in the hour before: a hash that was passed leaves such a logon behind
passed as (
    select episode.user_uid, episode.asset_uid, episode.hour, first({'host': taken.host, 'at': taken.logon_at} order by taken.logon_at, taken.event_uid) as taken
    from episodes as episode
    join logons as taken
        on taken.is_new_credentials and taken.outbound_user_name = episode.user_name
        and taken.logon_at between episode.first_logon_at - {{ around }} and episode.last_logon_at
    group by episode.user_uid, episode.asset_uid, episode.hour
),

-- what happened on the machine within an hour after a logon, by the same account; what names no account needs an account
-- that was given special privileges there, for nobody else can install a service or read another's memory
traces_after as (
    select episode.user_uid, episode.asset_uid, episode.hour, trace.* exclude (user_uid, asset_uid),
        trace.user_uid = episode.user_uid or trace.user_name = episode.user_name as is_own,
        trace.user_uid is null as is_unnamed
    from episodes as episode
    join {{ ref("host_traces") }} as trace
        on trace.asset_uid = episode.asset_uid
        and trace._event_at >= episode.first_logon_at and trace._event_at <= episode.last_logon_at + {{ around }}
        and (trace.user_uid is null or trace.user_uid = episode.user_uid or trace.user_name = episode.user_name)
    where exists (
        select 1 from logons
        where logons.is_remote and logons.user_uid = episode.user_uid and logons.asset_uid = episode.asset_uid and logons.hour = episode.hour
            and trace._event_at between logons.logon_at and logons.logon_at + {{ around }}
    )
),

traces as materialized (
    select trace.*
    from (
        select *, bool_or(is_own and kind = 'special_privileges') over (partition by user_uid, asset_uid, hour) as is_administrator_session
        from traces_after
    ) as trace
    where is_own or (is_unnamed and is_administrator_session)
),

followed as (
    select user_uid, asset_uid, hour,
        list_sort(list(distinct what) filter (where kind = 'service_created')) as services,
        count(distinct event_uid) filter (where kind = 'special_privileges') as special_privileges,
        count(distinct event_uid) filter (where kind = 'encoded_powershell') as encoded_powershell,
        count(distinct event_uid) filter (where kind = 'lsass_access') as lsass_access,
        list_sort(list(distinct what) filter (where kind = 'run_key')) as run_keys,
        max(_event_at) as last_trace_at
    from traces
    group by user_uid, asset_uid, hour
),

history as (
    select episode.hour, min(seen.hour) as record_from
    from (select distinct hour from episodes) as episode
    join (select distinct date_trunc('hour', _event_at) as hour from assets_before) as seen
        on seen.hour < episode.hour and seen.hour >= episode.hour - {{ past }}
    group by episode.hour
),

judged as materialized (
    select
        episode.*,
        hostile.hostile,
        travel.travel,
        novelty.new_country,
        coalesce(country_name.name, novelty.new_country) as new_country_name,
        novelty.new_asn,
        coalesce(denials.mfa_denied, 0) as mfa_denied,
        passed.taken,
        coalesce(followed.services, []) as services,
        coalesce(followed.special_privileges, 0) as special_privileges,
        coalesce(followed.encoded_powershell, 0) as encoded_powershell,
        coalesce(followed.lsass_access, 0) as lsass_access,
        coalesce(followed.run_keys, []) as run_keys,
        followed.last_trace_at,
        history.record_from,
        date_diff('second', history.record_from, episode.first_logon_at) as record_seconds,
        seen_asset.user_uid is null as is_new_asset,
        list_filter(episode.tags, lambda tag: not list_contains(coalesce(seen_tag.tags, []), tag)) as new_tags,
        sensitive.label as sensitive_label,
        sensitive.tag as sensitive_tag,
        episode.is_built_in_administrator or coalesce(json_extract_string(episode.identity, '$.is_privileged') = 'true', false) as is_privileged,
        list_has_any(
            list_transform({{ entry_list("episode.asset", "administrators") }}, lambda name: lower(name)),
            list_transform(
                list_filter([episode.user_name, {{ entry_text("episode.identity", "username") }}, {{ entry_text("episode.identity", "uid") }}, {{ entry_text("episode.identity", "full_name") }}]
                    || {{ entry_list("episode.identity", "groups") }}, lambda name: name is not null),
                lambda name: lower(name))
        ) as is_expected_administrator
    from episodes as episode
    left join hostile using (user_uid, asset_uid, hour)
    left join travel using (user_uid, asset_uid, hour)
    left join novelty using (user_uid, asset_uid, hour)
    left join denials using (user_uid, asset_uid, hour)
    left join passed using (user_uid, asset_uid, hour)
    left join followed using (user_uid, asset_uid, hour)
    left join history using (hour)
    left join (select code, first(name order by length(name), name) as name from {{ ref("country_codes") }} group by code) as country_name
        on country_name.code = novelty.new_country
    left join (
        select distinct episode.user_uid, episode.asset_uid, episode.hour
        from episodes as episode
        join assets_before as seen on seen.user_uid = episode.user_uid and seen.asset_uid = episode.asset_uid
            and seen._event_at < episode.hour and seen._event_at >= episode.hour - {{ past }}
    ) as seen_asset using (user_uid, asset_uid, hour)
    left join (
        select episode.user_uid, episode.hour, list(distinct seen.tag) as tags
        from (select distinct user_uid, hour from episodes) as episode
        join tags_before as seen on seen.user_uid = episode.user_uid and seen._event_at < episode.hour and seen._event_at >= episode.hour - {{ past }}
        group by episode.user_uid, episode.hour
    ) as seen_tag using (user_uid, hour)
    left join (
        select episode.user_uid, episode.asset_uid, episode.hour, first(known.label order by known.rank, known.tag) as label, first(known.tag order by known.rank, known.tag) as tag
        from episodes as episode
        join {{ ref("sensitive_tags") }} as known on list_contains(episode.tags, known.tag)
            and (not known.interactive_only or list_has_any(episode.logon_types, [10, 12]))
        group by episode.user_uid, episode.asset_uid, episode.hour
    ) as sensitive using (user_uid, asset_uid, hour)
),

-- factor by factor: the fact where it holds, else NULL
facts as (
    select user_uid, asset_uid, hour, unnest([
        {'factor': 'new_asset', 'fact': case when is_new_asset then 'no earlier logon of ' || user_name || ' on ' || host || ' on record' end},
        {'factor': 'new_asset_tag', 'fact': case when is_new_asset and len(new_tags) > 0 then 'no earlier logon on a machine tagged ' || array_to_string(new_tags, ', ') end},
        {'factor': 'new_country', 'fact': 'signed in from ' || new_country_name},
        {'factor': 'new_asn', 'fact': 'signed in from AS' || new_asn.number || coalesce(' ' || new_asn.name, '')},
        {'factor': 'privileged_identity', 'fact': case when is_built_in_administrator then 'built-in administrator' when is_privileged then coalesce(nullif(array_to_string({{ entry_list("identity", "groups") }}, ', '), ''), 'marked as privileged') end},
        {'factor': 'sensitive_asset', 'fact': 'tagged ' || sensitive_tag},
        {'factor': 'hostile_address', 'fact': hostile.address || ' on ' || hostile.feed || coalesce(' as ' || hostile.name, '') || ', known since ' || strftime(hostile.learned_at, '%Y-%m-%dT%H:%M:%SZ')
            || ', ' || {{ span_in_words("hostile.seconds_before") }} || ' before'},
        {'factor': 'impossible_travel', 'fact': coalesce(travel.from_city, travel.from_country, 'elsewhere') || ' to ' || coalesce(travel.city, travel.country, 'elsewhere')
            || format(', {:,} km in {} minutes, {:,} km/h', travel.kilometres, round(travel.seconds / 60.0)::bigint, travel.kilometres_per_hour)},
        {'factor': 'repeated_mfa_denials', 'fact': case when mfa_denied >= {{ least_denied }} then mfa_denied || ' challenges denied' end},
        {'factor': 'pass_the_hash', 'fact': case
            when is_ntlm_without_key then 'NTLM network logon by NtLmSsp without session key'
            when taken is not null then 'new credentials of ' || user_name || ' taken on at ' || taken.host || ' (seclogo)' end},
        {'factor': 'special_privileges', 'fact': case when special_privileges > 0 then 'special privileges on ' || host end},
        {'factor': 'service_created', 'fact': case when len(services) > 0 then 'service ' || array_to_string(services, ', ') end},
        {'factor': 'encoded_powershell', 'fact': case when encoded_powershell > 0 then 'encoded PowerShell on ' || host end},
        {'factor': 'lsass_access', 'fact': case when lsass_access > 0 then 'memory of LSASS read on ' || host end},
        {'factor': 'run_key', 'fact': case when len(run_keys) > 0 then 'Run key ' || array_to_string(run_keys, ', ') end},
        {'factor': 'expected_administrator', 'fact': case when is_expected_administrator then user_name || ' administers ' || host end}
    ], recursive := true)
    from judged
),

weighed as (
    select facts.user_uid, facts.asset_uid, facts.hour,
        list({'factor': weight.factor, 'weight': weight.weight, 'fact': facts.fact} order by weight.position) as factors,
        sum(weight.weight)::integer as score,
        max(weight.weight) > 0 as is_candidate
    from facts
    join {{ ref("signal_factors") }} as weight on weight.product = 'lateral_movement' and weight.factor = facts.factor
    where facts.fact is not null
    group by facts.user_uid, facts.asset_uid, facts.hour
),

-- the events that it rests on; of many the first
events as (
    select user_uid, asset_uid, hour, 1 as step, logon_at as occurred_at, event_uid, type_uid, logged_time, 'Remote logon' as title, address, host as at_what, client as detail, null as process_name
    from logons where is_remote
    union all
    select user_uid, asset_uid, hour, case when status_id = 1 then 2 else 3 end, occurred_at, event_uid, type_uid, logged_time,
        case when status_id = 1 then 'Sign-in' when is_mfa then 'Denied challenge' else 'Failed sign-in' end, address, at_what, location.city, null
    from arrivals
    union all
    select user_uid, asset_uid, hour, 4, _event_at, event_uid, type_uid, logged_time, title, null, host, coalesce(what || coalesce(': ' || detail, ''), detail), process_name
    from traces
),

evidence as (
    select user_uid, asset_uid, hour,
        max(logged_time) as logged_time,
        count(*) as event_count,
        list({'uid': event_uid, 'type_uid': type_uid, 'title': title, 'at': occurred_at, 'address': address, 'host': at_what, 'detail': detail, 'process': process_name}
            order by occurred_at, step, event_uid) as events
    from (
        select * from events
        qualify row_number() over (partition by user_uid, asset_uid, hour, event_uid order by step) = 1
    )
    where true
    group by user_uid, asset_uid, hour
)

select
    judged.first_logon_at as _event_at,
    md5('lateral_movement|' || judged.user_uid || '|' || judged.asset_uid || '|' || strftime(judged.hour, '%Y-%m-%dT%H')) as finding_uid,
    judged.* exclude (hour, identity, asset),
    {{ entry_text("judged.identity", "full_name") }} as full_name,
    {{ entry_text("judged.identity", "title") }} as title,
    {{ entry_text("judged.identity", "department") }} as department,
    {{ entry_text("judged.asset", "name") }} as asset_name,
    {{ entry_text("judged.asset", "role") }} as asset_role,
    {{ entry_text("judged.asset", "type") }} as asset_type,
    {{ entry_text("judged.asset", "owner") }} as asset_owner,
    weighed.factors,
    weighed.score,
    evidence.events[:100] as events,
    evidence.event_count,
    epoch_ms(evidence.logged_time) as _arrived_at
from judged
join weighed using (user_uid, asset_uid, hour)
join evidence using (user_uid, asset_uid, hour)
where weighed.is_candidate
