-- Logons on machines that came from another machine, each with its event hour.
{{ config(materialized="ephemeral") }}
select *, date_trunc('hour', logon_at) as hour
from {{ ref("host_logons") }}
where is_remote
