-- Sign-ins from outside by account, address and hour: where they came from, how many succeeded and how many were denied.
with signed_in as (
    select
        {{ canonical_user("user", entry_of(["user"], "identity")) }} as user_uid,
        lower(user.name) as user_name,
        src_endpoint.ip as address,
        src_endpoint.location as location,
        src_endpoint.autonomous_system as autonomous_system,
        {{ known_network() }} as known_network,
        status_id,
        coalesce(is_mfa, false) as is_mfa,
        time_dt,
        metadata.uid as event_uid
    from {{ ref("authentication") }}
    where activity_id <> 2 and status_id in (1, 2) and {{ is_somebody("user") }}
        and src_endpoint.ip is not null and not {{ is_inside_address("src_endpoint.ip") }}
)

select
    min(time_dt) as _event_at,
    user_uid,
    first(user_name order by time_dt, event_uid) as user_name,
    address,
    first(location.country order by time_dt, event_uid) as country,
    first(location.city order by time_dt, event_uid) as city,
    first(location.lat order by time_dt, event_uid) as lat,
    first(location.long order by time_dt, event_uid) as long,
    first(autonomous_system.number order by time_dt, event_uid) as as_number,
    first(autonomous_system.name order by time_dt, event_uid) as as_name,
    first(known_network order by time_dt, event_uid) as known_network,
    min(time_dt) filter (where status_id = 1) as first_at,
    max(time_dt) filter (where status_id = 1) as last_at,
    count_if(status_id = 1) as events,
    count_if(status_id = 2) as denied,
    count_if(status_id = 2 and is_mfa) as mfa_denied
from signed_in
group by user_uid, address, date_trunc('hour', time_dt)
