-- Authentication 3002 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("authentication__auth0"),
    ref("authentication__aws_cloudtrail"),
    ref("authentication__cloudflare_audit"),
    ref("authentication__crowdstrike_fdr"),
    ref("authentication__duo"),
    ref("authentication__entra_sign_in"),
    ref("authentication__github_audit"),
    ref("authentication__gitlab_audit"),
    ref("authentication__google_workspace"),
    ref("authentication__microsoft_365"),
    ref("authentication__okta_system_log"),
    ref("authentication__onepassword"),
    ref("authentication__salesforce"),
    ref("authentication__slack_audit"),
    ref("authentication__windows_event"),
]) }}
