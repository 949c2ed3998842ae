-- One row per landed DNS query of the Route 53 Resolver: its fields under plain names. event_type is `query`, or what
-- DNS Firewall did: `firewall:alert`, `firewall:block`, `firewall:allow`.
select
    case
        when nullif(firewall_rule_action, '') is not null then 'firewall:' || lower(firewall_rule_action)
        else 'query'
    end as event_type,
    version as log_version,
    nullif(account_id, '') as account_id,
    nullif(region, '') as aws_region,
    nullif(vpc_id, '') as vpc_id,
    query_timestamp,

    -- query; a name ends in a dot, which alone is the root
    coalesce(nullif(regexp_replace(query_name, '[.]$', ''), ''), query_name) as query_name,
    nullif(query_type, '') as query_type,
    nullif(query_class, '') as query_class,
    nullif(transport, '') as transport,

    -- answer
    nullif(rcode, '') as rcode_name,
    answers,

    -- where from
    nullif(srcaddr, '') as source_address,
    {{ ip_or_null("srcaddr") }} as source_ip,
    nullif(srcport, '') as source_port,
    nullif(srcids.instance, '') as instance_id,
    nullif(srcids.resolver_endpoint, '') as resolver_endpoint,
    nullif(srcids.resolver_network_interface, '') as resolver_interface,

    -- DNS Firewall
    upper(nullif(firewall_rule_action, '')) as firewall_action,
    nullif(firewall_rule_group_id, '') as firewall_rule_group,
    nullif(firewall_domain_list_id, '') as firewall_domain_list,
    nullif(firewall_protection, '') as firewall_protection,
    additional_properties,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "aws_route53_resolver") }}
