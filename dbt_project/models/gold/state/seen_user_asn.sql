-- The autonomous systems (networks) that an account signed in from, by hour.
select
    min(first_at) as _event_at,
    user_uid,
    first(user_name order by first_at, address) as user_name,
    as_number,
    first(as_name order by first_at, address) as as_name,
    min(first_at) as first_at,
    max(last_at) as last_at,
    sum(events)::bigint as events
from {{ ref("user_sign_ins") }}
where events > 0 and as_number is not null
group by user_uid, as_number, date_trunc('hour', _event_at)
