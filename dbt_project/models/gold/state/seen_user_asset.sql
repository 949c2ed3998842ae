-- The machines that an account logged on to, by hour.
select
    min(logon_at) as _event_at,
    user_uid,
    first(user_name order by logon_at, event_uid) as user_name,
    asset_uid,
    first(host order by logon_at, event_uid) as host,
    min(logon_at) as first_at,
    max(logon_at) as last_at,
    count(*) as events
from {{ ref("host_logons") }}
group by user_uid, asset_uid, date_trunc('hour', logon_at)
