-- API Activity 6003 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("api_activity__auth0"),
    ref("api_activity__aws_cloudtrail"),
    ref("api_activity__aws_s3_access"),
    ref("api_activity__cloudflare_audit"),
    ref("api_activity__crowdstrike_fdr"),
    ref("api_activity__duo"),
    ref("api_activity__entra_directory_audit"),
    ref("api_activity__github_audit"),
    ref("api_activity__gitlab_audit"),
    ref("api_activity__google_workspace"),
    ref("api_activity__microsoft_365"),
    ref("api_activity__okta_system_log"),
    ref("api_activity__onepassword"),
    ref("api_activity__salesforce"),
    ref("api_activity__slack_audit"),
]) }}
