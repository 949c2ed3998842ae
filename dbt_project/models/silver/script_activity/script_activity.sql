-- Script Activity 1009 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("script_activity__crowdstrike_fdr"),
    ref("script_activity__windows_event"),
]) }}
