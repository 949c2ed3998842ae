-- Web Resources Activity 6001 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("web_resources_activity__microsoft_365")]) }}
