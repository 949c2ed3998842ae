-- RDP Activity 4005 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("rdp_activity__windows_event")]) }}
