-- Requests to S3 buckets. What a request does follows from its operation (routing seed).
with requests as (
    select
        * exclude (activity_id),
        coalesce(requests.activity_id, 99) as activity_id,
        case
            when host_header like '%.cn' then 'arn:aws-cn:s3:::'
            when host_header like '%us-gov-%' then 'arn:aws-us-gov:s3:::'
            else 'arn:aws:s3:::'
        end || bucket as bucket_arn,
        -- AmazonS3, svc:s3.amazonaws.com, lambda.amazonaws.com: what S3 does by itself (lifecycle, log delivery)
        coalesce(
            requester = 'AmazonS3' or requester like 'svc:%' or requester like '%.amazonaws.com', false
        ) as is_service,
        nullif(regexp_extract(requester, '^arn:[^:]+:[^:]*:[^:]*:(\d{12}):', 1), '') as requester_account,
        try_cast(http_status as integer) as status_number
    from {{ ref("aws_s3_access") }} as requests
    where class_uid = 6003
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    1 as severity_id,
    -- what S3 does by itself has no status
    case
        when http_status >= 400 or error_code is not null then 2
        when http_status is not null then 1
        else 0
    end as status_id,
    coalesce(error_code, http_status::varchar) as status_code,
    -- Who asked: an ARN, a canonical user id, a service, or nobody, of whom OCSF wants a name all the same. The last
    -- part of an ARN is the name; CloudFront's has blanks.
    {
        'user': {
            'name': case
                when requester is null then 'Unknown'
                when requester like 'arn:%'
                    then coalesce(nullif(regexp_extract(requester, '[:/]([^:/]+)$', 1), ''), requester)
                when is_service then requester
            end,
            'uid': case when not is_service then requester end,
            'type_id': case
                when requester is null then 99
                when is_service then 4
                when requester like 'arn:%:root' then 2
                when requester like 'arn:%:user/%' then 1
                when requester like 'arn:%' then 99
            end,
            'type': case
                when requester is null then 'Anonymous'
                when is_service then 'Service'
                when requester like 'arn:%:root' then 'Admin'
                when requester like 'arn:%:user/%' then 'User'
                when requester like 'arn:%' then split_part(split_part(requester, ':', 6), '/', 1)
            end,
            'account': {{ aws_account("requester_account") }}
        },
        'app_name': case when is_service then requester end
    } as actor,
    {
        'operation': event_type,
        'service': {'name': 's3.amazonaws.com'},
        'request': {'uid': request_id},
        'response': {'code': status_number, 'error': error_code}
    } as api,
    {
        'ip': source_ip,
        'intermediate_ips': forwarding_ips,
        'svc_name': case when source_ip is null and is_service then requester end,
        'name': case when source_ip is null and not is_service then 'Unknown' end
    } as src_endpoint,
    {'svc_name': 's3.amazonaws.com', 'hostname': host_header} as dst_endpoint,
    {
        'user_agent': user_agent,
        'http_method': http_method,
        'referrer': referer,
        'version': http_version,
        'url': case
            when coalesce(url_path, url_origin) is not null then {
                'url_string': url_origin || coalesce(url_path, '') || coalesce('?' || url_query, ''), -- if whole
                'hostname': coalesce(
                    nullif(regexp_extract(url_origin, '://(?:[^@]*@)?([^@:]+)', 1), ''), host_header
                ),
                'path': url_path,
                'query_string': url_query
            }
        end
    } as http_request,
    case when status_number is not null then {
        'code': status_number,
        'body_length': try_cast(bytes_sent as integer),
        'latency': try_cast(total_milliseconds as integer)
    } end as http_response,
    -- Bucket, object and access point by ARN. The key stays URL encoded, as S3 logs it.
    list_filter([
        {
            'uid': bucket_arn, 'name': bucket, 'type': 'AWS::S3::Bucket', 'owner': {'uid': bucket_owner},
            'version': null
        },
        {
            'uid': bucket_arn || '/' || object_key, 'name': object_key, 'type': 'AWS::S3::Object',
            'owner': {'uid': null}, 'version': version_id
        },
        {
            'uid': access_point_arn, 'name': nullif(regexp_extract(access_point_arn, '[/:]([^/:]+)$', 1), ''),
            'type': 'AWS::S3::AccessPoint', 'owner': {'uid': null}, 'version': null
        }
    ], lambda resource: resource.uid is not null) as resources,
    -- The region in an endpoint's name: b.s3.eu-west-1.amazonaws.com, s3-us-west-2.amazonaws.com, s3-website.…
    {
        'provider': 'AWS',
        'region': nullif(regexp_extract(
            host_header,
            's3(?:-website|-accesspoint|-object-lambda)?(?:-fips)?[.-](?:dualstack[.])?([a-z]{2}(?:-[a-z]+)+-\d)[.]', 1
        ), '')
    } as cloud,
    metadata,
    {{ observables([
        observable("src_endpoint.ip", 2, "source_ip"),
        observable("actor.user.uid", 31, "case when not is_service then requester end"),
        observable("http_request.user_agent", 16, "user_agent"),
    ]) }} as observables,
    {{ unmapped_json({
        "requestURI": "case when http_method is null then request_line end",
        "hostId": "host_id",
        "remoteIP": "case when source_ip is null or len(forwarding_ips) + 1 <> len(string_split(remote_address, ','))
            then remote_address end",
        "sourceRegion": "source_region",
        "authenticationType": "authentication_type",
        "signatureVersion": "signature_version",
        "aclRequired": "acl_required",
        "tlsVersion": "tls_version",
        "cipherSuite": "cipher_suite",
        "httpStatus": "case when status_number is null then http_status end",
        "bytesSent": "case when try_cast(bytes_sent as integer) is null or status_number is null then bytes_sent end",
        "totalTime": "case when status_number is null then total_milliseconds end",
        "objectSize": "object_size",
        "turnAroundTime": "turn_around_milliseconds",
        "versionId": "case when object_key is null then version_id end",
    }) }} as unmapped
from requests
