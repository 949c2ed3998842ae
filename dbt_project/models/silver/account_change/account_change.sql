-- Account Change 3001 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("account_change__auth0"),
    ref("account_change__aws_cloudtrail"),
    ref("account_change__cloudflare_audit"),
    ref("account_change__crowdstrike_fdr"),
    ref("account_change__duo"),
    ref("account_change__entra_directory_audit"),
    ref("account_change__github_audit"),
    ref("account_change__gitlab_audit"),
    ref("account_change__google_workspace"),
    ref("account_change__microsoft_365"),
    ref("account_change__okta_system_log"),
    ref("account_change__onepassword"),
    ref("account_change__salesforce"),
    ref("account_change__slack_audit"),
    ref("account_change__windows_event"),
]) }}
