-- Addresses and networks of threat lists, with the times in which each was listed and known.
{{ config(materialized="view") }}
select
    value,
    prefix,
    key_high,
    key_low,
    name,
    category,
    malware,
    coalesce(confidence, 50) as confidence,
    uid,
    feed,
    version,
    valid_from,
    valid_to,
    learned_at
from reference.indicators
where kind = 'ip'
