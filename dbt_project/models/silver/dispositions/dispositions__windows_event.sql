-- What became of every landed Windows event.
{{ config(meta={"inline": true}) }}
{{ dispositions("windows_event", ref("stg_windows__event")) }}
