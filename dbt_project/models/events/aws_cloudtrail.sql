-- The CloudTrail records that mappings see: routed to a class, each event once, without filtered ones.
{{ published_events("aws_cloudtrail", ref("stg_aws__cloudtrail"), ref("dispositions__aws_cloudtrail")) }}
