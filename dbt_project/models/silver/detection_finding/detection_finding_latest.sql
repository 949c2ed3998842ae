-- The latest state of every finding of all sources: vendors deliver a finding again whenever it changes, and
-- detection_finding has all its states.
{{ config(materialized="view") }}
select *
from {{ ref("detection_finding") }}
qualify row_number() over (
    partition by metadata.product.vendor_name, metadata.product.name, cloud.account.uid, cloud.region, finding_info.uid
    order by time desc, activity_id desc, metadata.logged_time desc, metadata.uid desc
) = 1
