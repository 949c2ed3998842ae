-- What became of every landed Okta event.
{{ config(meta={"inline": true}) }}
{{ dispositions("okta_system_log", ref("stg_okta__system_log")) }}
