-- Everything else that is done in GitLab: settings, tokens, branches, runners.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    message,
    actor,
    api,
    src_endpoint,
    resources,
    metadata
from {{ ref("gitlab_audit") }}
where class_uid = 6003
