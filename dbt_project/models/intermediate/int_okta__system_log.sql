-- The Okta events that mappings see: routed to a class, each event once, without filtered ones. Okta names countries,
-- OCSF wants their codes.
with published as (
{{ published_events("okta_system_log", ref("stg_okta__system_log"), ref("dispositions__okta_system_log")) }}
)

select published.*, country.code as client_country_code
from published
left join {{ ref("country_codes") }} as country on country.name = published.client_country
