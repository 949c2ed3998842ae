-- The VPC flows that mappings see: routed to a class, each once, without filtered ones.
{{ published_events("aws_vpc_flow", ref("stg_aws__vpc_flow"), ref("dispositions__aws_vpc_flow")) }}
