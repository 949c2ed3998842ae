-- Connections and listening ports of processes (Sysmon 3; Security 5154-5159 of the Windows Filtering Platform).
with events as (
    select *,
        {{ ip_or_null("coalesce(source_ip, source_address)") }} as src_ip,
        {{ ip_or_null("coalesce(destination_ip, dest_address)") }} as dst_ip,
        case
            when lower(initiated) = 'true' or direction = '%%14593' then 2
            when lower(initiated) = 'false' or direction = '%%14592' then 1
            else 0
        end as direction_id,
        event_id in (5155, 5157, 5159) and event_type like 'security:%' as blocked,
        case when protocol = '6' then 'tcp' when protocol = '17' then 'udp' when protocol = '1' then 'icmp' when protocol = '58' then 'ipv6-icmp'
            when protocol not similar to '[0-9]+' then lower(protocol) end as protocol_name
    from {{ ref("windows_event") }}
    where class_uid = 4001
)

select
    activity_id,
    case when activity_id = 99 then 'Bind' end as activity_name,
    severity_id,
    case when blocked then 2 else status_id end as status_id,
    case when blocked then 2 when event_type like 'security:%' then 1 end as action_id,
    case when blocked then 2 when event_type like 'security:%' then 1 end as disposition_id,
    {'user': {{ windows_account("user_account") }},
     'process': {{ windows_process("coalesce(image, application)", "process_id", "process_guid") }}} as actor,
    {'ip': src_ip, 'port': {{ windows_pid("source_port") }},
     'hostname': coalesce(source_hostname, case when direction_id <> 1 then computer_name end)} as src_endpoint,
    {'ip': dst_ip, 'port': {{ windows_pid("coalesce(destination_port, dest_port)") }},
     'hostname': coalesce(destination_hostname, case when direction_id = 1 then computer_name end)} as dst_endpoint,
    {'direction_id': direction_id,
     'direction': {{ ocsf_caption("network_activity", "connection_info.direction_id", "direction_id") }},
     'protocol_name': protocol_name,
     'protocol_num': coalesce(try_cast(protocol as integer), case protocol_name when 'tcp' then 6 when 'udp' then 17 end),
     'protocol_ver_id': case when contains(coalesce(src_ip, dst_ip), ':') then 6 when coalesce(src_ip, dst_ip) is not null then 4 end,
     'protocol_ver': case when contains(coalesce(src_ip, dst_ip), ':') then 'Internet Protocol version 6 (IPv6)'
        when coalesce(src_ip, dst_ip) is not null then 'Internet Protocol version 4 (IPv4)' end} as connection_info,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("src_endpoint.ip", 2, "src_ip"),
        observable("dst_endpoint.ip", 2, "dst_ip"),
        observable("dst_endpoint.hostname", 1, "destination_hostname"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, application)")),
    ]) }} as observables,
    {{ windows_unmapped({
        "SourcePortName": "source_port_name", "DestinationPortName": "destination_port_name", "LayerName": "layer_name",
        "FilterRTID": "filter_runtime_id",
    }) }} as unmapped,
    {{ windows_event() }}
from events
