-- Of each episode what is new about where its sign-ins came from (country, network), and the fastest journey to there.
-- New is what the hours before do not know, of 90 days; of an account without any country on record, nothing is new.
{{ config(materialized="ephemeral") }}
with sign_ins as (
    select user_uid, asset_uid, hour, occurred_at, event_uid, address, location, autonomous_system
    from {{ ref("episode_sign_ins") }}
    where status_id = 1 and known_network is null
),

known_countries as (
    select
        sign_in.event_uid, sign_in.user_uid, sign_in.asset_uid, sign_in.hour,
        bool_or(seen.country = sign_in.location.country) as is_known
    from sign_ins as sign_in
    join {{ ref("seen_user_country") }} as seen
        on seen.user_uid = sign_in.user_uid
        and seen._event_at < date_trunc('hour', sign_in.occurred_at)
        and seen._event_at >= sign_in.hour - interval 90 days
    group by all
),

known_networks as (
    select
        sign_in.event_uid, sign_in.user_uid, sign_in.asset_uid, sign_in.hour,
        bool_or(seen.as_number = sign_in.autonomous_system.number) as is_known
    from sign_ins as sign_in
    join {{ ref("seen_user_asn") }} as seen
        on seen.user_uid = sign_in.user_uid
        and seen._event_at < date_trunc('hour', sign_in.occurred_at)
        and seen._event_at >= sign_in.hour - interval 90 days
    group by all
),

placed as (
    select
        sign_in.*,
        coalesce(not country.is_known, false) as is_new_country,
        coalesce(not network.is_known, false) as is_new_asn
    from sign_ins as sign_in
    left join known_countries as country using (event_uid, user_uid, asset_uid, hour)
    left join known_networks as network using (event_uid, user_uid, asset_uid, hour)
),

novelty as (
    select
        user_uid, asset_uid, hour,
        first(location.country order by occurred_at, address) filter (where is_new_country) as new_country,
        first(autonomous_system order by occurred_at, address) filter (where is_new_asn) as new_asn
    from placed
    group by user_uid, asset_uid, hour
),

-- from where the account signed in within a day before; the address of a VPN is no place
journeys as (
    select
        sign_in.user_uid, sign_in.asset_uid, sign_in.hour, sign_in.occurred_at, sign_in.location,
        earlier.city as from_city,
        earlier.country as from_country,
        earlier.lat as from_lat,
        sign_in.location.lat - earlier.lat as north,
        sign_in.location.long - earlier.long as east,
        case when earlier.last_at < sign_in.occurred_at then earlier.last_at else earlier.first_at end as left_at,
        greatest(date_diff('second', left_at, sign_in.occurred_at), 60) as seconds
    from placed as sign_in
    join {{ ref("user_sign_ins") }} as earlier
        on earlier.user_uid = sign_in.user_uid
        and earlier.first_at < sign_in.occurred_at and earlier._event_at >= sign_in.hour - interval 24 hours
        and earlier.address <> sign_in.address and earlier.known_network is null
    where (sign_in.is_new_country or sign_in.is_new_asn)
        and earlier.lat is not null and sign_in.location.lat is not null
),

-- along a great circle of a sphere of 6,371 km (haversine)
measured as (
    select
        *,
        2 * 6371 * asin(least(1, sqrt(
            power(sin(radians(north) / 2), 2)
            + cos(radians(from_lat)) * cos(radians(location.lat)) * power(sin(radians(east) / 2), 2)
        ))) as kilometres
    from journeys
),

travels as (
    select
        user_uid, asset_uid, hour,
        first({
            'from_city': from_city, 'from_country': from_country, 'city': location.city, 'country': location.country,
            'kilometres': round(kilometres)::bigint, 'seconds': seconds,
            'kilometres_per_hour': round(kilometres * 3600 / seconds)::bigint
        } order by kilometres / seconds desc, occurred_at) as travel
    from measured
    where kilometres >= 300 and kilometres * 3600 / seconds >= 1000
    group by user_uid, asset_uid, hour
),

country_names as (
    select code, first(name order by length(name), name) as name
    from {{ ref("country_codes") }}
    group by code
)

select novelty.*, coalesce(country.name, novelty.new_country) as new_country_name, travels.travel
from novelty
left join travels using (user_uid, asset_uid, hour)
left join country_names as country on country.code = novelty.new_country
