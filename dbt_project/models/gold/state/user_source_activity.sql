-- What an account did by source and hour, with the countries, networks and machines as lists, so that days can be added up.
with done as (
    select
        time_dt, source, user, status_id, src_endpoint, coalesce(dst_endpoint.hostname, device.hostname) as host,
        {{ entry_of(["user"], "identity") }} as identity,
        {{ entry_of(["dst_endpoint", "device"], "asset") }} as asset
    from (select *, metadata.product.name as source from {{ ref("authentication") }})
    union all
    select
        time_dt, metadata.product.name as source, actor.user as user, status_id, src_endpoint, null as host,
        {{ entry_of(["actor.user"], "identity") }} as identity,
        null as asset
    from {{ ref("api_activity") }}
)

select
    min(time_dt) as _event_at,
    {{ canonical_user("user", "identity") }} as user_uid,
    min(lower(user.name)) as user_name,
    coalesce(source, 'Unknown') as source,
    count(*) as events,
    count_if(status_id = 2)::bigint as failures,
    list_sort(coalesce(list(distinct src_endpoint.location.country) filter (where src_endpoint.location.country is not null), [])) as countries,
    list_sort(coalesce(list(distinct src_endpoint.autonomous_system.number) filter (where src_endpoint.autonomous_system.number is not null), [])) as as_numbers,
    list_sort(coalesce(list(distinct {{ canonical_asset("host", "asset") }}) filter (where host is not null), [])) as assets,
    min(time_dt) as first_at,
    max(time_dt) as last_at
from done
where {{ is_somebody("user") }}
group by {{ canonical_user("user", "identity") }}, coalesce(source, 'Unknown'), date_trunc('hour', time_dt)
