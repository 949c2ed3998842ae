-- Pages, lists, sites and searches of SharePoint.
select
    activity_id,
    activity_name,
    severity_id,
    status_id,
    status,
    status_code,
    status_detail,
    message,
    [{
        'name': coalesce(list_title, object_id, any_file_name),
        'url_string': case when object_id like 'http%' then object_id else site_url end,
        'type': coalesce(item_type, 'Other')
    }] as web_resources,
    actor,
    src_endpoint,
    http_request,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 6001
