-- Flows of VPC network interfaces: a row per flow and aggregation interval, allowed or rejected. Where OCSF's own
-- dossier (github.com/ocsf/examples, AWS v1.5.0, VPC Flowlogs) says where a field goes, it goes there.
with flows as (
    select
        *,
        event_type = 'REJECT' as action_is_reject,
        coalesce(flow_direction = 'ingress', false) as is_inbound,
        coalesce(flow_direction = 'egress', false) as is_outbound,
        -- an address that is none names the end all the same
        case when coalesce(packet_source_ip, source_ip) is null then source_address end as source_name,
        case when coalesce(packet_destination_ip, destination_ip) is null then destination_address end
            as destination_name,
        coalesce(protocol in (6, 17, 33, 132, 136), true) as has_ports,
        nullif(account_id, 'unknown') as owner_account,
        -- until the year 9999; the event time is one of the two, the other may be anything
        case when start_seconds between 1 and 253402300799 then start_seconds end as started,
        case when end_seconds between 1 and 253402300799 then end_seconds end as ended,
        case
            when ip_type = 'IPv4' then 4
            when ip_type = 'IPv6' then 6
            when ip_type is not null then 99
            when contains(coalesce(source_ip, destination_ip), ':') then 6
            when coalesce(source_ip, destination_ip) is not null then 4
        end as ip_version_id,
        -- traffic-path: 1 same VPC, 2 internet or gateway endpoint, 3 virtual private gateway, 4 and 5 peering within
        -- and between regions, 6 local gateway, 7 gateway endpoint, 8 internet gateway
        case when traffic_path between 1 and 8 then traffic_path + 3 end as boundary_id
    from {{ ref("aws_vpc_flow") }}
    where class_uid = 4001
),

-- OCSF wants one end at least, and of an end with a port by what it is known
placed as (
    select
        *,
        coalesce(packet_source_ip, source_ip, source_name, source_service, source_interface) is not null
        or (is_outbound and coalesce(interface_id, instance_id, resource_id) is not null) as has_source,
        coalesce(packet_destination_ip, destination_ip, destination_name, destination_service, destination_interface)
            is not null
        or (is_inbound and coalesce(interface_id, instance_id, resource_id) is not null) as has_destination,
        case
            when has_ports and source_port between 0 and 65535 and (has_source or not has_destination)
                then source_port::integer
        end as src_port,
        case
            when has_ports and destination_port between 0 and 65535 and has_destination then destination_port::integer
        end as dst_port
    from flows
)

select
    activity_id,
    1 as severity_id,
    case event_type when 'ACCEPT' then 1 when 'REJECT' then 2 else 0 end as status_id,
    log_status as status_code,
    case when action_is_reject then reject_reason end as status_detail,
    case event_type when 'ACCEPT' then 1 when 'REJECT' then 2 end as action_id, -- a transit gateway does not say
    case event_type when 'ACCEPT' then 1 when 'REJECT' then 2 end as disposition_id,
    started * 1000 as start_time,
    ended * 1000 as end_time,
    case when ended >= started then (ended - started) * 1000 end as duration,
    -- Of an address that something between replaced, the packet's is the endpoint's, the replaced one is in between.
    -- Only the direction tells which end the interface is; a flow log without it says so in unmapped. A transit gateway
    -- knows both ends.
    {
        'ip': coalesce(packet_source_ip, source_ip),
        'name': coalesce(source_name, case when not (has_source or has_destination) then 'Unknown' end),
        'intermediate_ips': case when packet_source_ip <> source_ip then [source_ip] end,
        'port': src_port,
        'svc_name': source_service,
        'uid': case when is_outbound then resource_id end,
        'interface_uid': coalesce(source_interface, case when is_outbound then interface_id end),
        'instance_uid': case when is_outbound then instance_id end,
        'vpc_uid': coalesce(source_vpc, case when is_outbound and has_source then vpc_id end),
        'subnet_uid': coalesce(source_subnet, case when is_outbound and has_source then subnet_id end),
        'zone': source_zone,
        'owner': {'account': {'uid': source_account}}
    } as src_endpoint,
    {
        'ip': coalesce(packet_destination_ip, destination_ip),
        'name': destination_name,
        'intermediate_ips': case when packet_destination_ip <> destination_ip then [destination_ip] end,
        'port': dst_port,
        'svc_name': destination_service,
        'uid': case when is_inbound then resource_id end,
        'interface_uid': coalesce(destination_interface, case when is_inbound then interface_id end),
        'instance_uid': case when is_inbound then instance_id end,
        'vpc_uid': coalesce(destination_vpc, case when is_inbound and has_destination then vpc_id end),
        'subnet_uid': coalesce(destination_subnet, case when is_inbound and has_destination then subnet_id end),
        'zone': destination_zone,
        'owner': {'account': {'uid': destination_account}}
    } as dst_endpoint,
    {
        'direction_id': case flow_direction when 'ingress' then 1 when 'egress' then 2 else 0 end,
        'direction': case flow_direction when 'ingress' then 'Inbound' when 'egress' then 'Outbound' else 'Unknown' end,
        'protocol_num': try_cast(protocol as integer),
        -- IANA's name of a protocol number, in small letters as OCSF has it
        'protocol_name': case protocol
            when 1 then 'icmp' when 2 then 'igmp' when 4 then 'ipv4' when 6 then 'tcp' when 17 then 'udp'
            when 33 then 'dccp' when 41 then 'ipv6' when 47 then 'gre' when 50 then 'esp' when 51 then 'ah'
            when 58 then 'ipv6-icmp' when 89 then 'ospfigp' when 112 then 'vrrp' when 132 then 'sctp'
            when 136 then 'udplite'
        end,
        'protocol_ver_id': ip_version_id,
        'protocol_ver': case ip_version_id
            when 4 then 'Internet Protocol version 4 (IPv4)'
            when 6 then 'Internet Protocol version 6 (IPv6)'
            else ip_type
        end,
        'tcp_flags': try_cast(tcp_flags as integer),
        'boundary_id': boundary_id,
        'boundary': {{ ocsf_caption("network_activity", "connection_info.boundary_id", "boundary_id") }}
    } as connection_info,
    {'bytes': bytes, 'packets': packets} as traffic,
    {'provider': 'AWS', 'region': region, 'zone': az_id, 'account': {{ aws_account("owner_account") }}} as cloud,
    metadata,
    {{ observables([
        observable("src_endpoint.ip", 2, "coalesce(packet_source_ip, source_ip)"),
        observable("dst_endpoint.ip", 2, "coalesce(packet_destination_ip, destination_ip)"),
        observable("src_endpoint.intermediate_ips[]", 2, "nullif(source_ip, coalesce(packet_source_ip, source_ip))"),
        observable(
            "dst_endpoint.intermediate_ips[]", 2,
            "nullif(destination_ip, coalesce(packet_destination_ip, destination_ip))"
        ),
        observable("src_endpoint.instance_uid", 10, "case when is_outbound then instance_id end"),
        observable("dst_endpoint.instance_uid", 10, "case when is_inbound then instance_id end"),
    ]) }} as observables,
    -- The field names are those of the Parquet variant, as in the dossier.
    {{ unmapped_json({
        "reject_reason": "case when action_is_reject is not true then reject_reason end",
        "sublocation_type": "sublocation_type",
        "sublocation_id": "sublocation_id",
        "resource_id": "case when not (is_inbound or is_outbound) then resource_id end",
        "action": "case when event_type not in ('ACCEPT', 'REJECT', 'Unknown') then event_type end",
        "flow_direction": "case when not (is_inbound or is_outbound) then flow_direction end",
        "traffic_path": "case when boundary_id is null then traffic_path end",
        "srcport": "case when src_port is null then nullif(source_port, 0) end",
        "dstport": "case when dst_port is null then nullif(destination_port, 0) end",
        "resource_type": "resource_type",
        "tgw_id": "tgw_id",
        "tgw_attachment_id": "tgw_attachment_id",
        "tgw_pair_attachment_id": "tgw_pair_attachment_id",
        "packets_lost_no_route": "packets_lost_no_route",
        "packets_lost_blackhole": "packets_lost_blackhole",
        "packets_lost_mtu_exceeded": "packets_lost_mtu_exceeded",
        "packets_lost_ttl_expired": "packets_lost_ttl_expired",
        "encryption_status": "encryption_status",
        "interface_id": "case when not (is_inbound or is_outbound) then interface_id end",
        "instance_id": "case when not (is_inbound or is_outbound) then instance_id end",
        "vpc_id": "case when not (is_inbound and has_destination or is_outbound and has_source) then vpc_id end",
        "subnet_id": "case when not (is_inbound and has_destination or is_outbound and has_source) then subnet_id end",
        "ecs_cluster_arn": "ecs_cluster_arn",
        "ecs_cluster_name": "ecs_cluster_name",
        "ecs_container_instance_arn": "ecs_container_instance_arn",
        "ecs_container_instance_id": "ecs_container_instance_id",
        "ecs_container_id": "ecs_container_id",
        "ecs_second_container_id": "ecs_second_container_id",
        "ecs_service_name": "ecs_service_name",
        "ecs_task_definition_arn": "ecs_task_definition_arn",
        "ecs_task_arn": "ecs_task_arn",
        "ecs_task_id": "ecs_task_id",
    }) }} as unmapped
from placed
