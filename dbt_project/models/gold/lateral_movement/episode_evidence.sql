-- The events that an episode rests on, each once and in order of time: its remote logons, the sign-ins before them, and
-- what happened on the machine after them. Of many the first 100; all are counted.
{{ config(materialized="ephemeral") }}
with events as (
    select
        user_uid, asset_uid, hour, 1 as step, logon_at as occurred_at, event_uid, type_uid, logged_time,
        'Remote logon' as title, address, host, client as detail, null as process_name
    from {{ ref("remote_logons") }}
    union all
    select
        user_uid, asset_uid, hour, case when status_id = 1 then 2 else 3 end, occurred_at, event_uid, type_uid,
        logged_time,
        case when status_id = 1 then 'Sign-in' when is_mfa then 'Denied challenge' else 'Failed sign-in' end,
        address, at_what, location.city, null
    from {{ ref("episode_sign_ins") }}
    union all
    select
        user_uid, asset_uid, hour, 4, _event_at, event_uid, type_uid, logged_time,
        title, null, host, coalesce(what || coalesce(': ' || detail, ''), detail), process_name
    from {{ ref("episode_traces") }}
),

each_once as (
    select * from events
    qualify row_number() over (partition by user_uid, asset_uid, hour, event_uid order by step) = 1
)

select
    user_uid,
    asset_uid,
    hour,
    max(logged_time) as logged_time,
    count(*) as event_count,
    (list({
        'uid': event_uid, 'type_uid': type_uid, 'title': title, 'at': occurred_at, 'address': address, 'host': host,
        'detail': detail, 'process': process_name
    } order by occurred_at, step, event_uid))[:100] as events
from each_once
group by user_uid, asset_uid, hour
