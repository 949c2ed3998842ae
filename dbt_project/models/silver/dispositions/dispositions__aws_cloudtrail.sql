-- What became of every landed CloudTrail record.
{{ config(meta={"inline": true}) }}
{{ dispositions("aws_cloudtrail", ref("stg_aws__cloudtrail")) }}
