-- One row an account, source and day: what it did, and what is usual: mean and deviation of the 30 days before, in
-- which a day without events counts as one of zero events from the account's first day on record.
{{ config(materialized="view") }}
with days as (
    select
        user_uid,
        source,
        date_trunc('day', _event_at)::date as day,
        sum(events)::bigint as events,
        sum(failures)::bigint as failures,
        count(*) as active_hours,
        len(list_distinct(flatten(list(countries)))) as countries,
        len(list_distinct(flatten(list(as_numbers)))) as as_numbers,
        len(list_distinct(flatten(list(assets)))) as assets,
        min(first_at) as first_at,
        max(last_at) as last_at
    from {{ ref("user_source_activity") }}
    group by all
),

known as (
    select *, min(day) over (partition by user_uid, source) as first_day from days
),

summed as (
    select *,
        least(30, day - first_day) as baseline_days,
        coalesce(sum(events) over month_before, 0) as events_before,
        coalesce(sum(events * events) over month_before, 0) as squares_before,
        coalesce(sum(active_hours) over month_before, 0) as hours_before,
        max(countries) over month_before as most_countries,
        max(as_numbers) over month_before as most_as_numbers,
        max(assets) over month_before as most_assets
    from known
    window month_before as (
        partition by user_uid, source order by day range between interval 30 days preceding and interval 1 day preceding
    )
),

measured as (
    select *,
        events_before / nullif(baseline_days, 0) as mean_events,
        case
            when baseline_days > 0
                then sqrt(greatest(0, squares_before / baseline_days - power(events_before / baseline_days, 2)))
        end as deviation_events,
        hours_before / nullif(baseline_days, 0) as mean_active_hours
    from summed
)

select
    user_uid, source, day, events, failures, active_hours, countries, as_numbers, assets, first_at, last_at,
    baseline_days, mean_events, deviation_events, mean_active_hours,
    (events - mean_events) / nullif(deviation_events, 0) as deviations_away,
    most_countries, most_as_numbers, most_assets
from measured
