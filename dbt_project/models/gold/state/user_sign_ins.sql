-- Sign-ins from outside by account, address and hour: where they came from, how many succeeded and how many were
-- denied.
select
    min(signed_in_at) as _event_at,
    user_uid,
    first(user_name order by signed_in_at, event_uid) as user_name,
    address,
    first(location.country order by signed_in_at, event_uid) as country,
    first(location.city order by signed_in_at, event_uid) as city,
    first(location.lat order by signed_in_at, event_uid) as lat,
    first(location.long order by signed_in_at, event_uid) as long,
    first(autonomous_system.number order by signed_in_at, event_uid) as as_number,
    first(autonomous_system.name order by signed_in_at, event_uid) as as_name,
    first(known_network order by signed_in_at, event_uid) as known_network,
    min(signed_in_at) filter (where status_id = 1) as first_at,
    max(signed_in_at) filter (where status_id = 1) as last_at,
    count_if(status_id = 1)::bigint as events,
    count_if(status_id = 2)::bigint as denied,
    count_if(status_id = 2 and is_mfa)::bigint as mfa_denied
from {{ ref("outside_sign_ins") }}
group by user_uid, address, date_trunc('hour', signed_in_at)
