-- When each pair was first seen, over all hours of the lake, and how often it was seen.
{{ config(materialized="view") }}
select user_uid, tag, min(first_at) as first_at, sum(events)::bigint as events, count(*) as hours
from {{ ref("seen_user_asset_tag") }}
group by user_uid, tag
