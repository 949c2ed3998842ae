-- File Hosting Activity 6006 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("file_hosting__google_workspace"),
    ref("file_hosting__microsoft_365"),
    ref("file_hosting__slack_audit"),
]) }}
