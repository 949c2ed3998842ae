-- The Okta events that mappings see: routed to a class, each event once, without filtered ones.
{{ published_events("okta_system_log", ref("stg_okta__system_log"), ref("dispositions__okta_system_log")) }}
