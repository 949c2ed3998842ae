-- What became of every landed DNS query of the Route 53 Resolver.
{{ config(meta={"inline": true}) }}
{{ dispositions("aws_route53_resolver", ref("stg_aws__route53_resolver")) }}
