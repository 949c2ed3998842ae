-- Connections that processes opened, accepted or closed, ports they bind or listen on, and matches of firewall rules.
with matched as (
    select
        *,
        case
            when contains(event_type, 'Firewall') then {
                'action': {{ fdr_undeclared(["RuleAction", "RuleAction_decimal"]) }},
                'policy': {{ fdr_undeclared(["PolicyName"]) }},
                'policy_id': {{ fdr_undeclared(["PolicyID"]) }},
                'name': {{ fdr_undeclared(["RuleName"]) }},
                'uid': {{ fdr_undeclared(["RuleId"]) }},
                'process': {{ fdr_undeclared(["PID"]) }},
                'remote': {{ fdr_undeclared(["RemoteAddress"]) }},
                'local': {{ fdr_undeclared(["LocalAddress"]) }}
            }
        end as rule
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 4001
),

read as (
    select
        matched.* replace (
            coalesce(remote_ip, {{ fdr_ip("rule.remote") }}) as remote_ip,
            coalesce(local_ip, {{ fdr_ip("rule.local") }}) as local_ip
        )
    from matched
),

directed as (
    select
        *,
        -- Windows, macOS and Linux sensors write 0 outbound, 1 inbound, 2 neither; the kind of event says it as well.
        case
            when connection_direction = '1' then 1
            when connection_direction = '0' then 2
            when connection_direction is null and event_name like 'NetworkReceiveAccept%' then 1
            when connection_direction is null and event_name like 'NetworkConnect%' then 2
            else 0
        end as direction_id,
        -- A socket on all addresses has its port; without one nothing is known of the host's end.
        coalesce(
            local_ip,
            case
                when local_port is not null then {{ ip_or_null("coalesce(local_address_ip4, local_address_ip6)") }}
            end
        ) as host_ip,
        case protocol_number
            when 1 then 'icmp' when 6 then 'tcp' when 17 then 'udp' when 58 then 'ipv6-icmp'
        end as protocol_name,
        -- what a rule of the firewall does: 1 allows, 2 blocks
        case rule.action when '1' then 1 when '2' then 2 end as rule_action_id
    from read
),

events as (
    select
        *,
        {
            'ip': host_ip,
            'port': local_port,
            'hostname': computer_name,
            'uid': aid,
            'name': case when coalesce(host_ip, computer_name, aid) is null then 'Unknown' end
        } as host_end,
        {
            'ip': remote_ip,
            'port': case when remote_ip is not null then remote_port end,
            'hostname': null::varchar,
            'uid': null::varchar,
            'name': null::varchar
        } as peer_end,
        case
            when contains(coalesce(remote_ip, host_ip), ':') then 6 when coalesce(remote_ip, host_ip) is not null then 4
        end as ip_version_id
    from directed
)

select
    coalesce(activity_id, case rule_action_id when 2 then 5 when 1 then 1 else 0 end) as activity_id,
    case when activity_id = 99 then 'Bind' end as activity_name,
    severity_id,
    case when rule_action_id = 2 then 2 else status_id end as status_id,
    coalesce(rule_action_id, action_id) as action_id,
    coalesce(rule_action_id, disposition_id) as disposition_id,
    attacks,
    case
        when rule is not null then {{ fdr_actor(
            "coalesce(context_process_id, nullif(rule.process, '0'))", "image_file_name",
            extra={"cmd_line": "command_line"}
        ) }}
        else actor
    end as actor,
    -- The host stands where it opened the connection, and where there is no peer yet.
    case when direction_id = 1 then peer_end else host_end end as src_endpoint,
    case when direction_id = 1 then host_end else peer_end end as dst_endpoint,
    {
        'direction_id': direction_id,
        'direction': {{ ocsf_caption("network_activity", "connection_info.direction_id", "direction_id") }},
        'protocol_num': protocol_number,
        'protocol_name': protocol_name,
        'protocol_ver_id': ip_version_id,
        'protocol_ver': case ip_version_id
            when 6 then 'Internet Protocol version 6 (IPv6)' when 4 then 'Internet Protocol version 4 (IPv4)'
        end
    } as connection_info,
    -- what an app on a phone asked for
    {
        'url_string': case
            when contains(event_type, 'Connect') and os_type_id in (201, 301)
                then {{ fdr_undeclared(["OriginatingURL"]) }}
        end
    } as url,
    {'name': rule.policy, 'uid': rule.policy_id} as policy,
    {'name': rule.name, 'uid': rule.uid} as firewall_rule,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("src_endpoint.ip", 2, "case when direction_id = 1 then remote_ip else local_ip end"),
        observable("dst_endpoint.ip", 2, "case when direction_id = 1 then local_ip else remote_ip end"),
        observable("actor.process.name", 9, "coalesce(actor.process.name, context_base_file_name)"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextBaseFileName", "ContextImageFileName", "LocalAddressIP4", "LocalAddressIP6",
        "RemoteAddressIP4", "RemoteAddressIP6", "LocalPort", "RemotePort", "Protocol", "ConnectionDirection",
        "UserName", "UserSid", "UID", "AuthenticationId", "RuleAction", "PolicyName", "PolicyID", "RemoteAddress",
        "LocalAddress", "RuleName", "RuleId", "PID", "CommandLine", "ImageFileName", "OriginatingURL",
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
