{#- The objects of S3 server access logs, from the columns of stg_aws__s3_access. -#}


{#- Who asked: an ARN, a canonical user id, a service for what S3 does by itself (lifecycle, log delivery), or nobody:
    AWS writes no requester for unauthenticated requests. -#}
{% macro s3_access_actor() -%}
{
      'user': {
        'name': case
          when requester is null then 'Anonymous'
          when requester like 'arn:%' then coalesce(nullif(regexp_extract(requester, '[:/]([^:/]+)$', 1), ''), requester)
          when {{ s3_access_is_service() }} then requester
        end,
        'uid': case when not {{ s3_access_is_service() }} then requester end,
        'type_id': case
          when requester is null then 99
          when {{ s3_access_is_service() }} then 4
          when requester like 'arn:%:root' then 2
          when requester like 'arn:%:user/%' then 1
          when requester like 'arn:%' then 99
          else 0
        end,
        'type': case
          when requester is null then 'Anonymous'
          when {{ s3_access_is_service() }} then 'Service'
          when requester like 'arn:%:root' then 'Admin'
          when requester like 'arn:%:user/%' then 'User'
          when requester like 'arn:%' then split_part(split_part(requester, ':', 6), '/', 1)
          else 'Unknown'
        end,
        'account': {
          'uid': {{ s3_access_account() }},
          'type_id': case when {{ s3_access_account() }} is not null then 10 end,
          'type': case when {{ s3_access_account() }} is not null then 'AWS Account' end
        }
      },
      'app_name': case when {{ s3_access_is_service() }} then requester end
    }
{%- endmacro %}

{#- AmazonS3, svc:s3.amazonaws.com, lambda.amazonaws.com -#}
{% macro s3_access_is_service() -%}
coalesce(requester = 'AmazonS3' or requester like 'svc:%' or requester like '%.amazonaws.com', false)
{%- endmacro %}

{% macro s3_access_account() -%}
nullif(regexp_extract(requester, '^arn:[^:]+:[^:]*:[^:]*:(\d{12}):', 1), '')
{%- endmacro %}


{#- Bucket and object by ARN. The key stays URL encoded, as S3 logs it. -#}
{% macro s3_access_resources() -%}
list_filter([
      {'uid': bucket_arn, 'name': bucket, 'type': 'AWS::S3::Bucket', 'owner': {'uid': bucket_owner}},
      {'uid': bucket_arn || '/' || object_key, 'name': object_key, 'type': 'AWS::S3::Object', 'owner': {'uid': null::varchar}}
    ], lambda resource: resource.uid is not null)
{%- endmacro %}


{#- The region in an endpoint's name: b.s3.eu-west-1.amazonaws.com, s3-us-west-2.amazonaws.com. -#}
{% macro s3_access_region() -%}
nullif(regexp_extract(host_header, 's3[.-](?:dualstack[.])?([a-z]{2}(?:-[a-z]+)+-\d)[.]', 1), '')
{%- endmacro %}


{% macro s3_access_unmapped() -%}
{{ unmapped_json({
      "requestURI": "case when http_method is null then request_line end",
      "hostId": "host_id",
      "remoteIP": "case when source_ip is null then remote_address end",
      "sourceRegion": "source_region",
      "authenticationType": "authentication_type",
      "signatureVersion": "signature_version",
      "aclRequired": "acl_required",
      "accessPointARN": "access_point_arn",
      "tlsVersion": "tls_version",
      "cipherSuite": "cipher_suite",
      "httpStatus": "case when try_cast(http_status as integer) is null then http_status end",
      "bytesSent": "case when try_cast(bytes_sent as integer) is null or try_cast(http_status as integer) is null then bytes_sent end",
      "totalTime": "case when try_cast(http_status as integer) is null then total_milliseconds end",
      "objectSize": "object_size",
      "turnAroundTime": "turn_around_milliseconds",
      "versionId": "version_id",
    }) }}
{%- endmacro %}
