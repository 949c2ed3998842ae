-- What became of every landed state of a GuardDuty finding.
{{ config(meta={"inline": true}) }}
{{ dispositions("aws_guardduty", ref("stg_aws__guardduty")) }}
