-- Requests to S3 buckets. What a request does follows from its operation (routing seed).
with requests as (
    select * exclude (activity_id),
        coalesce(requests.activity_id, 99) as activity_id,
        'arn:aws' || case when host_header like '%.cn' then '-cn' when host_header like '%us-gov-%' then '-us-gov' else '' end
            || ':s3:::' || bucket as bucket_arn
    from {{ ref("aws_s3_access") }} as requests
    where class_uid = 6003
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    1 as severity_id,
    case when http_status >= 400 or error_code is not null then 2 else 1 end as status_id,
    coalesce(error_code, http_status::varchar) as status_code,
    {{ s3_access_actor() }} as actor,
    {
      'operation': event_type,
      'service': {'name': 's3.amazonaws.com'},
      'request': {'uid': request_id},
      'response': {'code': try_cast(http_status as integer), 'error': error_code}
    } as api,
    {
      'ip': source_ip,
      'svc_name': case when source_ip is null and {{ s3_access_is_service() }} then requester end,
      'name': case when source_ip is null and not {{ s3_access_is_service() }} then 'Unknown' end
    } as src_endpoint,
    {'svc_name': 's3.amazonaws.com', 'hostname': host_header} as dst_endpoint,
    {
      'user_agent': user_agent,
      'http_method': http_method,
      'referrer': referer,
      'version': http_version,
      'url': case when url_path is not null then {'hostname': host_header, 'path': url_path, 'query_string': url_query} end
    } as http_request,
    case when try_cast(http_status as integer) is not null then {
      'code': try_cast(http_status as integer),
      'body_length': try_cast(bytes_sent as integer),
      'latency': try_cast(total_milliseconds as integer)
    } end as http_response,
    {{ s3_access_resources() }} as resources,
    {'provider': 'AWS', 'region': {{ s3_access_region() }}} as cloud,
    metadata,
    {{ observables([
        observable("src_endpoint.ip", 2, "source_ip"),
        observable("actor.user.uid", 31, "case when not " ~ s3_access_is_service() ~ " then requester end"),
        observable("http_request.user_agent", 16, "user_agent"),
    ]) }} as observables,
    {{ s3_access_unmapped() }} as unmapped
from requests
