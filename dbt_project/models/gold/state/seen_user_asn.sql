-- The autonomous systems (networks) that an account signed in from, by hour.
select
    min(signed_in_at) as _event_at,
    user_uid,
    first(user_name order by signed_in_at, event_uid) as user_name,
    autonomous_system.number as as_number,
    first(autonomous_system.name order by signed_in_at, event_uid) as as_name,
    min(signed_in_at) as first_at,
    max(signed_in_at) as last_at,
    count(*) as events
from {{ ref("outside_sign_ins") }}
where status_id = 1 and autonomous_system.number is not null
group by user_uid, autonomous_system.number, date_trunc('hour', signed_in_at)
