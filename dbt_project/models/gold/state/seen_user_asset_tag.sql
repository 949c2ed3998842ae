-- The tags (and environments) of the machines that an account logged on to, by hour.
select
    min(logon_at) as _event_at,
    user_uid,
    first(user_name order by logon_at, event_uid) as user_name,
    tag,
    min(logon_at) as first_at,
    max(logon_at) as last_at,
    count(*) as events
from (select *, unnest(tags) as tag from {{ ref("host_logons") }})
group by user_uid, tag, date_trunc('hour', logon_at)
