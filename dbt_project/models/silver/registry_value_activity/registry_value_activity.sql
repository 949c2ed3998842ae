-- Registry Value Activity 201002 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("registry_value_activity__crowdstrike_fdr"),
    ref("registry_value_activity__windows_event"),
]) }}
