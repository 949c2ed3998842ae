-- SMB Activity 4006 of all sources.
{{ config(materialized="view") }}
{{ union_sources([ref("smb_activity__windows_event")]) }}
