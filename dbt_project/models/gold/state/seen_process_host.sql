-- The programs that ran on a machine, by hour. A program is its path in lower case, without the folder of a user.
with launches as (
    select
        time_dt,
        regexp_replace(lower(coalesce(process.file.path, process.name)), '\\users\\[^\\]+\\', '\users\*\') as process,
        {{ canonical_asset("device.hostname", entry_of(["device"], "asset")) }} as asset_uid,
        device.hostname as host,
        metadata.uid as event_uid
    from {{ ref("process_activity") }}
    where activity_id = 1
)

select
    min(time_dt) as _event_at,
    process,
    asset_uid,
    first(host order by time_dt, event_uid) as host,
    min(time_dt) as first_at,
    max(time_dt) as last_at,
    count(*) as events
from launches
where process is not null and asset_uid is not null
group by process, asset_uid, date_trunc('hour', time_dt)
