-- Group Management 3006 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("group_management__aws_cloudtrail"),
    ref("group_management__crowdstrike_fdr"),
    ref("group_management__duo"),
    ref("group_management__entra_directory_audit"),
    ref("group_management__github_audit"),
    ref("group_management__google_workspace"),
    ref("group_management__microsoft_365"),
    ref("group_management__okta_system_log"),
    ref("group_management__onepassword"),
    ref("group_management__slack_audit"),
    ref("group_management__windows_event"),
]) }}
