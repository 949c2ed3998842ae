-- Scan Activity 6007 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("scan_activity__windows_event")]) }}
