-- One row per landed flow: its fields under plain names, and the routing key.
-- event_type is what was done with the traffic: ACCEPT, REJECT or Unknown. NODATA and SKIPDATA never land.
select
    -- event
    coalesce(action, 'Unknown') as event_type,
    version as format_version,
    log_status,
    reject_reason,
    "start" as start_seconds,
    "end" as end_seconds,

    -- where it was seen
    case when ends_with(account_id, '.0') then left(account_id, -2) else account_id end as account_id,
    interface_id,
    instance_id,
    vpc_id,
    subnet_id,
    region,
    az_id,
    sublocation_type,
    sublocation_id,
    resource_id,
    flow_direction,

    -- from where to where: what the interface saw, and what the packets said
    {{ ip_or_null("srcaddr") }} as source_ip,
    {{ ip_or_null("dstaddr") }} as destination_ip,
    {{ ip_or_null("pkt_srcaddr") }} as packet_source_ip,
    {{ ip_or_null("pkt_dstaddr") }} as packet_destination_ip,
    srcport as source_port,
    dstport as destination_port,
    srcaddr as source_address,
    dstaddr as destination_address,
    pkt_src_aws_service as source_service,
    pkt_dst_aws_service as destination_service,

    -- traffic
    protocol,
    type as ip_type,
    tcp_flags,
    traffic_path,
    packets,
    bytes,
    encryption_status,

    -- transit gateway: its own id, the attachments, and what it knows of both ends
    resource_type, tgw_id, tgw_attachment_id, tgw_pair_attachment_id,
    tgw_src_vpc_account_id as source_account,
    tgw_src_vpc_id as source_vpc,
    tgw_src_subnet_id as source_subnet,
    tgw_src_eni as source_interface,
    tgw_src_az_id as source_zone,
    tgw_dst_vpc_account_id as destination_account,
    tgw_dst_vpc_id as destination_vpc,
    tgw_dst_subnet_id as destination_subnet,
    tgw_dst_eni as destination_interface,
    tgw_dst_az_id as destination_zone,
    packets_lost_no_route, packets_lost_blackhole, packets_lost_mtu_exceeded, packets_lost_ttl_expired,

    -- task on ECS
    ecs_cluster_arn, ecs_cluster_name, ecs_container_instance_arn, ecs_container_instance_id, ecs_container_id,
    ecs_second_container_id, ecs_service_name, ecs_task_definition_arn, ecs_task_arn, ecs_task_id,

    -- pipeline
    {{ record_text("aws_vpc_flow") }} as _raw,
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "aws_vpc_flow") }}
