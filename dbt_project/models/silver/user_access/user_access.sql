-- User Access Management 3005 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("user_access__aws_cloudtrail"),
    ref("user_access__cloudflare_audit"),
    ref("user_access__crowdstrike_fdr"),
    ref("user_access__entra_directory_audit"),
    ref("user_access__github_audit"),
    ref("user_access__gitlab_audit"),
    ref("user_access__google_workspace"),
    ref("user_access__microsoft_365"),
    ref("user_access__okta_system_log"),
    ref("user_access__onepassword"),
    ref("user_access__salesforce"),
    ref("user_access__slack_audit"),
    ref("user_access__windows_event"),
]) }}
