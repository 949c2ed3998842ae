-- Flows of VPC network interfaces: a row per flow and aggregation interval, allowed or rejected.
with flows as (
    select *,
        event_type = 'REJECT' as action_is_reject,
        flow_direction in ('ingress', 'egress') as is_located,
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
        -- traffic-path: 1 same VPC, 2 internet or gateway endpoint, 3 virtual private gateway, 4 and 5 peering within and
        -- between regions, 6 local gateway, 7 gateway endpoint, 8 internet gateway
        case traffic_path
            when 1 then 4 when 2 then 5 when 3 then 6 when 4 then 7 when 5 then 8 when 6 then 9 when 7 then 10 when 8 then 11
        end as boundary_id
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
    {{ vpc_flow_endpoint("source", "egress") }} as src_endpoint,
    {{ vpc_flow_endpoint("destination", "ingress") }} as dst_endpoint,
    {{ vpc_flow_connection() }} as connection_info,
    {'bytes': bytes, 'packets': packets} as traffic,
    {
      'provider': 'AWS', 'region': region, 'zone': az_id,
      'account': {
        'uid': owner_account,
        'type_id': case when owner_account is not null then 10 end,
        'type': case when owner_account is not null then 'AWS Account' end
      }
    } as cloud,
    metadata,
    {{ observables([
        observable("src_endpoint.ip", 2, "coalesce(packet_source_ip, source_ip)"),
        observable("dst_endpoint.ip", 2, "coalesce(packet_destination_ip, destination_ip)"),
        observable("src_endpoint.intermediate_ips[]", 2, "case when packet_source_ip <> source_ip then source_ip end"),
        observable("dst_endpoint.intermediate_ips[]", 2, "case when packet_destination_ip <> destination_ip then destination_ip end"),
        observable("src_endpoint.instance_uid", 10, "case when flow_direction = 'egress' then instance_id end"),
        observable("dst_endpoint.instance_uid", 10, "case when flow_direction = 'ingress' then instance_id end"),
    ]) }} as observables,
    {{ vpc_flow_unmapped() }} as unmapped
from flows
