-- Sign-ins and sign-outs in the Okta org.
select
    routed_activity_id as activity_id,
    case outcome_result when 'SUCCESS' then 1 when 'ALLOW' then 1 when 'FAILURE' then 2 when 'DENY' then 2 else 0 end as status_id,
    display_message as message,
    {{ ocsf_metadata("Okta", "Okta System Log", event_code="event_type", original_time="published") }} as metadata,
    {'name': actor_alternate_id, 'uid': actor_id, 'full_name': actor_display_name} as user,
    {'ip': client_ip} as src_endpoint,
    {'name': 'Okta'} as service,
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row
from {{ ref("int_okta__system_log") }}
where class_uid = 3002
