-- Roles, permissions of applications, mailboxes, folders and sites, given to and taken from accounts.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    target_user as user,
    coalesce(
        nullif(list_filter(privileges, lambda each: each <> ''), []),
        case when starts_with(event_type, 'sharepoint:sitecollectionadmin') then ['Site Collection Administrator'] end,
        ['Unknown']
    ) as privileges,
    resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 3005
