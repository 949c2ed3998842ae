-- Module Activity 1005 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("module_activity__crowdstrike_fdr"),
    ref("module_activity__windows_event"),
]) }}
