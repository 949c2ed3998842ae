-- What each product made of an hour: raw events that it reads, remote logons (matches), candidates, signals.
with raw as (
    select time_dt from {{ ref("authentication") }}
    union all
    select time_dt from {{ ref("authorize_session") }}
    union all
    select time_dt from {{ ref("process_activity") }}
    union all
    select time_dt from {{ ref("windows_service_activity") }}
    union all
    select time_dt from {{ ref("registry_value_activity") }}
),

counted as (
    select date_trunc('hour', time_dt) as hour, count(*) as raw_events, 0 as matches, 0 as candidates, 0 as signals
    from raw
    group by 1
    union all
    select date_trunc('hour', logon_at), 0, count(*), 0, 0
    from {{ ref("host_logons") }}
    where is_remote
    group by 1
    union all
    select date_trunc('hour', _event_at), 0, 0, count(*), count_if(score >= severity.from_score)
    from {{ ref("lateral_movement_candidates") }}
    cross join (
        select min(from_score) as from_score
        from {{ ref("signal_severities") }}
        where product = 'lateral_movement'
    ) as severity
    group by 1
)

select
    hour as _event_at,
    'lateral_movement' as product,
    sum(raw_events)::bigint as raw_events,
    sum(matches)::bigint as matches,
    sum(candidates)::bigint as candidates,
    sum(signals)::bigint as signals
from counted
group by hour
