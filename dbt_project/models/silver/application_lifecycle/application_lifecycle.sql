-- Application Lifecycle 6002 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("application_lifecycle__windows_event")]) }}
