-- Windows Service Activity 201004 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("windows_service_activity__crowdstrike_fdr"),
    ref("windows_service_activity__windows_event"),
]) }}
