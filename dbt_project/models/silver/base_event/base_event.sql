-- Base Event 0 of all sources: events that have no route to a class of their own.
{{ config(materialized="view") }}
{{ union_sources([
    ref("base_event__aws_cloudtrail"),
    ref("base_event__crowdstrike_fdr"),
    ref("base_event__okta_system_log"),
    ref("base_event__windows_event"),
] + generic_base_events()) }}
