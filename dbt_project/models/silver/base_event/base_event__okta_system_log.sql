-- Okta events that no route sends elsewhere: published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    display_message as message,
    {{ ocsf_metadata("Okta", "Okta System Log", event_code="event_type", original_time="published") }} as metadata,
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row
from {{ ref("int_okta__system_log") }}
where class_uid = 0
