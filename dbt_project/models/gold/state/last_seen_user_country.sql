-- When each pair was last seen, over all hours of the lake, and how often it was seen.
{{ config(materialized="view") }}
select user_uid, country, max(last_at) as last_at, sum(events)::bigint as events, count(*) as hours
from {{ ref("seen_user_country") }}
group by user_uid, country
