-- Detection Finding 2004 of all sources.
{{ config(materialized="view") }}
{{ union_sources([
    ref("detection_finding__auth0"),
    ref("detection_finding__aws_cloudtrail"),
    ref("detection_finding__aws_guardduty"),
    ref("detection_finding__crowdstrike_fdr"),
    ref("detection_finding__duo"),
    ref("detection_finding__entra_risk_detection"),
    ref("detection_finding__github_audit"),
    ref("detection_finding__google_workspace"),
    ref("detection_finding__microsoft_365"),
    ref("detection_finding__microsoft_graph_alert"),
    ref("detection_finding__okta_system_log"),
    ref("detection_finding__salesforce"),
    ref("detection_finding__slack_audit"),
    ref("detection_finding__windows_event"),
]) }}
