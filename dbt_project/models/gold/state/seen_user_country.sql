-- The countries that an account signed in from, by hour.
select
    min(signed_in_at) as _event_at,
    user_uid,
    first(user_name order by signed_in_at, event_uid) as user_name,
    location.country as country,
    min(signed_in_at) as first_at,
    max(signed_in_at) as last_at,
    count(*) as events
from {{ ref("outside_sign_ins") }}
where status_id = 1 and location.country is not null
group by user_uid, location.country, date_trunc('hour', signed_in_at)
