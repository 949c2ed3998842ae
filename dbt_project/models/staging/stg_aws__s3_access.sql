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
    {{ ip_or_null("remote_ip") }} as source_ip,
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

    -- request: "GET /bucket/key?versioning HTTP/1.1"
    nullif(
        regexp_extract(request_uri, '^(CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT|TRACE)( |$)', 1), ''
    ) as http_method,
    request_uri as request_line,
    nullif(regexp_extract(request_uri, '^\S+ ([^? ]+)', 1), '') as url_path,
    nullif(regexp_extract(request_uri, '^\S+ [^? ]*\?(.*?)(?: HTTP/\S+)?$', 1), '') as url_query,
    nullif(regexp_extract(request_uri, ' HTTP/(\S+)$', 1), '') as http_version,

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
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "aws_s3_access") }}
