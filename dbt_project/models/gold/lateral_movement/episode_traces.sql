-- What happened on the machine within an hour after a remote logon of an episode, by the same account. What names no
-- account needs one that was given special privileges there, for nobody else can install a service or read another's
-- memory.
{{ config(materialized="ephemeral") }}
with after_logons as (
    select
        episode.user_uid,
        episode.asset_uid,
        episode.hour,
        trace.* exclude (user_uid, asset_uid),
        trace.user_uid = episode.user_uid or trace.user_name = episode.user_name as is_own,
        trace.user_uid is null as is_unnamed
    from {{ ref("logon_episodes") }} as episode
    join {{ ref("host_traces") }} as trace
        on trace.asset_uid = episode.asset_uid
        and trace._event_at >= episode.first_logon_at
        and trace._event_at <= episode.last_logon_at + interval 60 minutes
        and (trace.user_uid is null or trace.user_uid = episode.user_uid or trace.user_name = episode.user_name)
    where exists (
        select 1
        from {{ ref("remote_logons") }} as logon
        where logon.user_uid = episode.user_uid and logon.asset_uid = episode.asset_uid and logon.hour = episode.hour
            and trace._event_at between logon.logon_at and logon.logon_at + interval 60 minutes
    )
),

judged as (
    select
        *,
        bool_or(is_own and kind = 'special_privileges') over (
            partition by user_uid, asset_uid, hour
        ) as is_administrator_session
    from after_logons
)

select * from judged
where is_own or (is_unnamed and is_administrator_session)
