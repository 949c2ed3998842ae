-- Sign-ins to Slack and sign-outs, also those that an administrator or Slack forces.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status_detail,
    message,
    coalesce(target_user, actor_user, {'name': 'Unknown', 'type_id': 0}) as user,
    {'name': 'Slack', 'uid': location_id} as service,
    case when event_type like 'user_login%' then session end as session,
    case when starts_with(upper(details ->> 'config_type'), 'SAML') then 5 end as auth_protocol_id,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("slack_audit") }}
where class_uid = 3002
