-- The S3 requests that mappings see: routed to a class, each once, without filtered ones.
{{ published_events("aws_s3_access", ref("stg_aws__s3_access"), ref("dispositions__aws_s3_access")) }}
