-- Names that were looked up from VPCs. A record has the query and what came of it, which OCSF calls traffic; without
-- either answers or a response code it is a query. Where OCSF's own Route 53 dossier (github.com/ocsf/examples, AWS
-- v1.5.0) says where a field goes, it goes there; only names come without the trailing dot.
with events as (
    select
        *,
        try_cast(source_port as integer) as port,
        nullif(source_address, '-') as source_name,
        coalesce(source_ip, instance_id, source_name) is not null as has_source,
        case upper(rcode_name)
            when 'NOERROR' then 0 when 'FORMERR' then 1 when 'SERVFAIL' then 2 when 'NXDOMAIN' then 3
            when 'NOTIMP' then 4 when 'REFUSED' then 5 when 'YXDOMAIN' then 6 when 'YXRRSET' then 7
            when 'NXRRSET' then 8 when 'NOTAUTH' then 9 when 'NOTZONE' then 10 when 'DSOTYPENI' then 11
            when 'BADSIG' then 16 when 'BADVERS' then 16 when 'BADKEY' then 17 when 'BADTIME' then 18
            when 'BADMODE' then 19 when 'BADNAME' then 20 when 'BADALG' then 21 when 'BADTRUNC' then 22
            when 'BADCOOKIE' then 23
            else case when rcode_name is not null then 99 end
        end as rcode_number
    from {{ ref("aws_route53_resolver") }}
    where class_uid = 4003
)

select
    coalesce(activity_id, case when rcode_name is not null or len(answers) > 0 then 6 else 1 end) as activity_id,
    1 as severity_id,
    case when rcode_number = 0 then 1 when rcode_number is not null then 2 else 0 end as status_id,
    rcode_name as status_code,
    case
        when firewall_action in ('ALLOW', 'ALERT') then 1
        when firewall_action = 'BLOCK' then 2
        when firewall_action is not null then 99
    end as action_id,
    case when firewall_action not in ('ALLOW', 'ALERT', 'BLOCK') then firewall_action end as action,
    case
        when firewall_action = 'ALLOW' then 1
        when firewall_action = 'ALERT' then 19
        when firewall_action = 'BLOCK' then 2
        when firewall_action is not null then 99
    end as disposition_id,
    case when firewall_action not in ('ALLOW', 'ALERT', 'BLOCK') then firewall_action end as disposition,
    case when firewall_action in ('ALERT', 'BLOCK') then true end as is_alert,
    {'uid': firewall_rule_group} as firewall_rule,
    case
        when query_name is not null then {'hostname': query_name, 'type': query_type, 'class': query_class}
    end as query,
    epoch_ms(_event_at) as query_time,
    list_transform(list_filter(answers, lambda answer: answer.Rdata is not null), lambda answer: {
        'rdata': answer.Rdata, 'type': answer.Type, 'class': answer.Class
    }) as answers,
    rcode_number as rcode_id,
    case when rcode_number = 99 then rcode_name end as rcode,
    {
        'ip': source_ip,
        'port': case when has_source and port between 1 and 65535 then port end,
        'instance_uid': instance_id,
        'vpc_uid': vpc_id,
        'name': case
            when not has_source and resolver_endpoint is null and resolver_interface is null then 'Unknown'
            when source_ip is null and instance_id is null then source_name
        end
    } as src_endpoint,
    {'instance_uid': resolver_endpoint, 'interface_uid': resolver_interface} as dst_endpoint,
    {
        'protocol_name': lower(transport),
        'protocol_num': case lower(transport) when 'udp' then 17 when 'tcp' then 6 when 'doh' then 6 end,
        'direction_id': 0,
        'direction': 'Unknown'
    } as connection_info,
    {'provider': 'AWS', 'region': aws_region, 'account': {{ aws_account("account_id") }}} as cloud,
    {{ observables([
        observable("query.hostname", 1, "query_name"),
        observable("src_endpoint.ip", 2, "source_ip"),
        observable("src_endpoint.instance_uid", 10, "instance_id"),
        observable("dst_endpoint.instance_uid", 10, "resolver_endpoint"),
    ]) }}
    || list_filter(
        list_transform(
            coalesce(answers, []),
            lambda answer: {{ observable("answers[].rdata", 2, ip_or_null("answer.Rdata")) }}
        ),
        lambda entry: entry.value is not null
    ) as observables,
    metadata,
    {{ unmapped_json({
        "srcport": "case when not has_source or port is null or port not between 1 and 65535 then source_port end",
        "query_type": "case when query_name is null then query_type end",
        "query_class": "case when query_name is null then query_class end",
        "firewall_domain_list_id": "firewall_domain_list",
        "firewall_protection": "firewall_protection",
        "additional_properties": "additional_properties",
    }) }} as unmapped
from events
