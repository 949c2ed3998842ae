-- The Windows events that mappings see: routed to a class, each event once, without filtered ones.
{{ published_events("windows_event", ref("stg_windows__event"), ref("dispositions__windows_event")) }}
