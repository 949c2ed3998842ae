-- DNS Activity 4003 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("dns_activity__aws_route53_resolver"),
    ref("dns_activity__crowdstrike_fdr"),
    ref("dns_activity__windows_event"),
]) }}
