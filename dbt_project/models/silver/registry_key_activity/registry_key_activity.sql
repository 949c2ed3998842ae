-- Registry Key Activity 201001 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("registry_key_activity__crowdstrike_fdr"),
    ref("registry_key_activity__windows_event"),
]) }}
