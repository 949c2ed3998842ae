-- One row per landed request: its fields under plain names, the parts of the request line, and the routing key.
-- event_type is the operation, e.g. REST.GET.OBJECT.
select
    -- event
    coalesce(operation, 'Unknown') as event_type,
    operation,
    request_id,
    host_id,
    "time" as request_time,

    -- who, from where
    requester,
    remote_ip as remote_address,
    trim(split_part(remote_ip, ',', 1)) as first_address, -- of several, each proxy added one
    {{ ip_or_null("first_address") }} as source_ip,
    case
        when contains(remote_ip, ',') then list_filter(
            list_transform(string_split(remote_ip, ',')[2:], lambda each: {{ ip_or_null("trim(each)") }}),
            lambda each: each is not null
        )
    end as forwarding_ips,
    source_region,
    user_agent,
    referer,

    -- how they were known
    authentication_type,
    signature_version,
    acl_required,
    access_point_arn,

    -- connection
    host_header,
    tls_version,
    cipher_suite,

    -- request: "GET /bucket/key?versioning HTTP/1.1"; a path may have blanks, a proxy's request names scheme and host
    case
        when request.method in ('CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE')
            then request.method
    end as http_method,
    request_uri as request_line,
    nullif(request.origin, '') as url_origin,
    nullif(request.path, '') as url_path,
    nullif(request.query, '') as url_query,
    nullif(request.version, '') as http_version,

    -- response
    http_status,
    error_code,
    bytes_sent,
    object_size,
    total_time as total_milliseconds,
    turn_around_time as turn_around_milliseconds,

    -- what was asked for
    bucket,
    bucket_owner,
    "key" as object_key,
    version_id,

    -- pipeline
    {{ record_text("aws_s3_access") }} as _raw,
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from (
    select
        *,
        regexp_extract(
            request_uri,
            '^(\S+) ([A-Za-z][A-Za-z0-9+.-]*://[^/?]*)?([^?]*?)(?:\?(.*?))?(?: HTTP/(\S+))?$',
            ['method', 'origin', 'path', 'query', 'version']
        ) as request
    from {{ source("bronze", "aws_s3_access") }}
) as requests
