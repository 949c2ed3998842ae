-- Peripheral Activity 1010 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("peripheral_activity__windows_event")]) }}
