-- Everything else that is done in GitHub: repositories, branches, git, settings, workflows, requests.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    actor,
    api,
    src_endpoint,
    http_request,
    resources,
    metadata
from {{ ref("github_audit") }}
where class_uid = 6003
