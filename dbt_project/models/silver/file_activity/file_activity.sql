-- File System Activity 1001 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("file_activity__crowdstrike_fdr"),
    ref("file_activity__windows_event"),
]) }}
