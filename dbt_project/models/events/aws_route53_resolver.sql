-- The DNS queries that the mapping sees: routed to a class, each once, without filtered ones.
{{ published_events("aws_route53_resolver", ref("stg_aws__route53_resolver"), ref("dispositions__aws_route53_resolver")) }}
