-- Flows of VPC network interfaces: a row per flow and aggregation interval, allowed or rejected. Where OCSF's own
-- dossier (github.com/ocsf/examples, AWS v1.5.0, VPC Flowlogs) says where a field goes, it goes there.
with flows as (
    select
        *,
        event_type = 'REJECT' as action_is_reject,
        flow_direction in ('ingress', 'egress') as is_located,
        protocol in (6, 17, 33, 132, 136) as has_ports,
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
)

select
    activity_id,
    1 as severity_id,
    case event_type when 'ACCEPT' then 1 when 'REJECT' then 2 else 0 end as status_id,
    log_status as status_code,
    case when action_is_reject then reject_reason end as status_detail,
    case event_type when 'ACCEPT' then 1 when 'REJECT' then 2 else 0 end as action_id,
    case event_type when 'ACCEPT' then 1 when 'REJECT' then 2 else 0 end as disposition_id,
    started * 1000 as start_time,
    ended * 1000 as end_time,
    case when ended >= started then (ended - started) * 1000 end as duration,
    -- Of an address that something between replaced, the packet's is the endpoint's, the replaced one is in between.
    -- Only the direction tells which end the interface is; a flow log without it says so in unmapped.
    {
        'ip': coalesce(packet_source_ip, source_ip),
        'name': case
            when coalesce(packet_source_ip, source_ip) is null then coalesce(source_address, 'Unknown')
        end,
        'intermediate_ips': case when packet_source_ip <> source_ip then [source_ip] end,
        'port': case
            when has_ports and source_port between 0 and 65535 then source_port::integer
        end,
        'svc_name': source_service,
        'interface_uid': case when flow_direction = 'egress' then interface_id end,
        'instance_uid': case when flow_direction = 'egress' then instance_id end,
        'vpc_uid': case when flow_direction = 'egress' then vpc_id end,
        'subnet_uid': case when flow_direction = 'egress' then subnet_id end
    } as src_endpoint,
    {
        'ip': coalesce(packet_destination_ip, destination_ip),
        'name': case
            when coalesce(packet_destination_ip, destination_ip) is null then coalesce(destination_address, 'Unknown')
        end,
        'intermediate_ips': case when packet_destination_ip <> destination_ip then [destination_ip] end,
        'port': case
            when has_ports and destination_port between 0 and 65535 then destination_port::integer
        end,
        'svc_name': destination_service,
        'interface_uid': case when flow_direction = 'ingress' then interface_id end,
        'instance_uid': case when flow_direction = 'ingress' then instance_id end,
        'vpc_uid': case when flow_direction = 'ingress' then vpc_id end,
        'subnet_uid': case when flow_direction = 'ingress' then subnet_id end
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
        observable("src_endpoint.instance_uid", 10, "case when flow_direction = 'egress' then instance_id end"),
        observable("dst_endpoint.instance_uid", 10, "case when flow_direction = 'ingress' then instance_id end"),
    ]) }} as observables,
    -- The field names are those of the Parquet variant, as in the dossier.
    {{ unmapped_json({
        "reject_reason": "case when action_is_reject is not true then reject_reason end",
        "sublocation_type": "sublocation_type",
        "sublocation_id": "sublocation_id",
        "resource_id": "resource_id",
        "encryption_status": "encryption_status",
        "interface_id": "case when is_located is not true then interface_id end",
        "instance_id": "case when is_located is not true then instance_id end",
        "vpc_id": "case when is_located is not true then vpc_id end",
        "subnet_id": "case when is_located is not true then subnet_id end",
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
from flows
