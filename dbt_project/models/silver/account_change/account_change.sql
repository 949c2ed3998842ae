-- Account Change 3001 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("account_change__aws_cloudtrail"),
]) }}
