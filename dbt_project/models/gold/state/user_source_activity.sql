-- What an account did by source and hour, with the countries, networks and machines as lists, so that days can be
-- added up.
with sign_ins as (
    select
        time_dt,
        metadata.product.name as source,
        user,
        status_id,
        src_endpoint,
        coalesce(dst_endpoint.hostname, device.hostname) as host,
        {{ entry_of(["user"], "identity") }} as identity,
        {{ entry_of(["dst_endpoint", "device"], "asset") }} as asset
    from {{ ref("authentication") }}
),

calls as (
    select
        time_dt,
        metadata.product.name as source,
        actor.user as user,
        status_id,
        src_endpoint,
        null as host,
        {{ entry_of(["actor.user"], "identity") }} as identity,
        null as asset
    from {{ ref("api_activity") }}
),

acts as (
    select
        time_dt,
        {{ canonical_user("user", "identity") }} as user_uid,
        lower(user.name) as user_name,
        coalesce(source, 'Unknown') as source,
        status_id,
        src_endpoint.location.country as country,
        src_endpoint.autonomous_system.number as as_number,
        case when host is not null then {{ canonical_asset("host", "asset") }} end as asset_uid
    from (from sign_ins union all from calls)
    where {{ is_somebody("user") }}
)

select
    min(time_dt) as _event_at,
    user_uid,
    min(user_name) as user_name,
    source,
    count(*) as events,
    count_if(status_id = 2)::bigint as failures,
    list_sort(coalesce(list(distinct country) filter (where country is not null), [])) as countries,
    list_sort(coalesce(list(distinct as_number) filter (where as_number is not null), [])) as as_numbers,
    list_sort(coalesce(list(distinct asset_uid) filter (where asset_uid is not null), [])) as assets,
    min(time_dt) as first_at,
    max(time_dt) as last_at
from acts
group by user_uid, source, date_trunc('hour', time_dt)
