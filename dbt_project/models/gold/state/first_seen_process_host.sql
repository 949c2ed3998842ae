-- When each pair was first seen, over all hours of the lake, and how often it was seen.
{{ config(materialized="view") }}
select process, asset_uid, min(first_at) as first_at, sum(events)::bigint as events, count(*) as hours
from {{ ref("seen_process_host") }}
group by process, asset_uid
