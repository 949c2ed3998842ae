-- Group Management 3006 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("group_management__aws_cloudtrail"),
]) }}
