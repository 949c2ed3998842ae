-- Authorize Session 3003 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("authorize_session__windows_event"),
]) }}
