-- Event Log Activity 1008 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("event_log_actvity__windows_event")]) }}
