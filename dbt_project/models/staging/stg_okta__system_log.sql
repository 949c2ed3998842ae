-- One row per landed Okta System Log event: the fields of the LogEvent object under plain names.
select
    -- event
    eventType as event_type,
    displayMessage as display_message,
    severity,
    published,
    outcome.result as outcome_result,
    outcome.reason as outcome_reason,

    -- actor
    actor.id as actor_id,
    actor.type as actor_type,
    actor.alternateId as actor_alternate_id,
    actor.displayName as actor_display_name,

    -- client
    client.ipAddress as client_ip,

    -- pipeline
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "okta_system_log") }}
