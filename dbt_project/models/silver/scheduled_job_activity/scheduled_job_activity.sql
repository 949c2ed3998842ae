-- Scheduled Job Activity 1006 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("scheduled_job_activity__crowdstrike_fdr"),
    ref("scheduled_job_activity__windows_event"),
]) }}
