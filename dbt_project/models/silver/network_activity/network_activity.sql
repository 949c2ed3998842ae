-- Network Activity 4001 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("network_activity__aws_vpc_flow"),
    ref("network_activity__crowdstrike_fdr"),
    ref("network_activity__windows_event"),
]) }}
