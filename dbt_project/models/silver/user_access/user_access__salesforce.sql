-- Profiles, roles and permission sets, given to and taken from users.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    coalesce(target_user, {'name': 'Unknown', 'type_id': 0}) as user,
    [coalesce(regexp_extract(action_name, '(?i)(permset[a-z]*|profile|role)', 1), 'Unknown')] as privileges,
    resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("salesforce") }}
where class_uid = 3005
