-- Entity Management 3004 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("entity_management__crowdstrike_fdr"),
    ref("entity_management__entra_directory_audit"),
    ref("entity_management__microsoft_365"),
    ref("entity_management__windows_event"),
]) }}
