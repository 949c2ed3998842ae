-- What became of every landed VPC flow.
{{ config(meta={"inline": true}) }}
{{ dispositions("aws_vpc_flow", ref("stg_aws__vpc_flow")) }}
