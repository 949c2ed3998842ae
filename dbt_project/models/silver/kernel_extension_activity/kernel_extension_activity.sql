-- Kernel Extension Activity 1002 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("kernel_extension_activity__windows_event")]) }}
