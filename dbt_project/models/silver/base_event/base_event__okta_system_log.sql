-- Okta events that no route sends elsewhere (imports, agents, mails, features): published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    {{ okta_status() }},
    {{ okta_actor() }} as actor,
    {{ okta_observables(ip_attribute="unmapped.client.ipAddress") }} as observables,
    {{ okta_event(further=okta_client_fields()) }}
from {{ ref("okta_system_log") }}
where class_uid = 0
