-- The Falcon events that mappings see: routed to a class, each event once.
{{ published_events("crowdstrike_fdr", ref("stg_crowdstrike__fdr"), ref("dispositions__crowdstrike_fdr")) }}
