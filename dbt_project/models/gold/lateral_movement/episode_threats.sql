-- Of each episode the address of its sign-ins that a threat list named by the time of the logon: the entry of the most
-- confidence. An address of a known network counts for nothing.
{{ config(materialized="ephemeral") }}
with addresses as (
    select distinct address, {{ ip_hex("address") }} as hex
    from {{ ref("episode_sign_ins") }}
    where status_id = 1 and known_network is null
),

keys as (
    select
        address,
        ('0x' || left(hex, 16))::ubigint as key_high,
        ('0x' || right(hex, 16))::ubigint as key_low
    from addresses
    where hex is not null
),

-- the networks of every length that a list names, in which the addresses lie
masked as (
    select
        address,
        prefix,
        case
            when prefix >= 64 then key_high
            when prefix = 0 then 0
            else (key_high >> (64 - prefix)) << (64 - prefix)
        end::ubigint as key_high,
        case
            when prefix >= 128 then key_low
            when prefix <= 64 then 0
            else (key_low >> (128 - prefix)) << (128 - prefix)
        end::ubigint as key_low
    from keys
    cross join (select distinct prefix::integer as prefix from {{ ref("known_indicators") }})
),

-- every version of the entries that name them; an entry is known since it was listed without a gap, whatever of it
-- changed
versions as (
    select
        masked.address,
        indicator.*,
        max(indicator.valid_to) over (
            partition by masked.address, indicator.feed, indicator.value
            order by indicator.valid_from
            rows between unbounded preceding and 1 preceding
        ) as listed_until
    from masked
    join {{ ref("known_indicators") }} as indicator
        on indicator.prefix = masked.prefix
        and indicator.key_high = masked.key_high and indicator.key_low = masked.key_low
),

spells as (
    select
        *,
        count_if(listed_until is null or listed_until < valid_from) over (
            partition by address, feed, value order by valid_from
        ) as spell
    from versions
),

listed as (
    select *, min(learned_at) over (partition by address, feed, value, spell) as known_since
    from spells
),

flagged as (
    select
        sign_in.user_uid,
        sign_in.asset_uid,
        sign_in.hour,
        listed.address, listed.name, listed.category, listed.malware, listed.confidence, listed.feed, listed.version,
        listed.known_since,
        max(sign_in.occurred_at) as used_at,
        greatest(sign_in.first_logon_at, least(sign_in.last_logon_at, listed.known_since)) as logon_at
    from {{ ref("episode_sign_ins") }} as sign_in
    join listed
        on listed.address = sign_in.address and listed.confidence >= 30
        and listed.learned_at <= sign_in.last_logon_at
        and listed.valid_from <= sign_in.last_logon_at and listed.valid_to > sign_in.first_logon_at
    where sign_in.status_id = 1
    group by all
)

select
    user_uid,
    asset_uid,
    hour,
    first({
        'address': address, 'used_at': used_at, 'name': name, 'category': category, 'malware': malware, 'feed': feed,
        'version': version, 'learned_at': known_since, 'seconds_before': date_diff('second', known_since, logon_at)
    } order by confidence desc, known_since, feed, name, version, address) as hostile
from flagged
group by user_uid, asset_uid, hour
