-- Windows Resource Activity 201003 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("windows_resource_activity__windows_event")]) }}
