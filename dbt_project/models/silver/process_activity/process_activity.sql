-- Process Activity 1007 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("process_activity__crowdstrike_fdr"),
    ref("process_activity__windows_event"),
]) }}
