-- What became of every landed S3 request.
{{ config(meta={"inline": true}) }}
{{ dispositions("aws_s3_access", ref("stg_aws__s3_access")) }}
