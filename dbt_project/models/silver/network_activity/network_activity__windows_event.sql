-- Connections and listening ports of processes (Sysmon 3; Security 5031, 5148-5159 of the Windows Filtering Platform),
-- and transfers of BITS (59-61).
with events as (
    select
        *,
        {{ ip_or_null("coalesce(source_ip, source_address)") }} as src_ip,
        {{ ip_or_null("coalesce(destination_ip, dest_address)") }} as dst_ip,
        case
            when lower(initiated) = 'true' or direction = '%%14593' then 2
            when lower(initiated) = 'false' or direction = '%%14592' then 1
            else 0
        end as direction_id,
        case
            when event_type not like 'security:%' or event_id in (5148, 5149) then null
            when event_id in (5031, 5150, 5151, 5152, 5153, 5155, 5157, 5159) then 2
            else 1
        end as action_id,
        case
            when protocol = '6' then 'tcp'
            when protocol = '17' then 'udp'
            when protocol = '1' then 'icmp'
            when protocol = '58' then 'ipv6-icmp'
            when protocol not similar to '[0-9]+' then regexp_replace(lower(protocol), '^(tcp|udp)v[46]$', '\1')
        end as protocol_name,
        {{ windows_port("source_port") }} as src_port,
        {{ windows_port("coalesce(destination_port, dest_port)") }} as dst_port,
        case when event_type like 'bits:%' then {{ undeclared_value("url") }} end as transfer_url,
        nullif(regexp_extract(transfer_url, '^[a-z]+://(?:[^/@]*@)?([^/:?#]+)', 1), '') as transfer_host,
        case
            when contains(coalesce(src_ip, dst_ip), ':') then 6
            when coalesce(src_ip, dst_ip) is not null then 4
        end as protocol_ver_id
    from {{ ref("windows_event") }}
    where class_uid = 4001
)

select
    activity_id,
    case
        when event_id in (5148, 5149) then 'Denial of Service' when activity_id = 99 then 'Bind'
    end as activity_name,
    severity_id,
    case
        when action_id = 2 or event_type in ('bits:61', 'endpoint:connectionfailed') then 2
        when event_type like 'bits:%' then 1
        else status_id
    end as status_id,
    message,
    action_id,
    action_id as disposition_id, -- 1 Allowed; 2 Denied, Blocked
    {'user': actor.user, 'process': actor.process} as actor,
    device,
    {
        'ip': src_ip,
        'port': src_port,
        'hostname': coalesce(source_hostname, case when direction_id <> 1 then computer_name end)
    } as src_endpoint,
    {
        'ip': coalesce(dst_ip, {{ ip_or_null("transfer_host") }}),
        'port': dst_port,
        'hostname': coalesce(
            destination_hostname,
            case when {{ ip_or_null("transfer_host") }} is null then transfer_host end,
            case when direction_id = 1 then computer_name end
        )
    } as dst_endpoint,
    {'url_string': transfer_url} as url,
    {
        'direction_id': direction_id,
        'direction': {{ ocsf_caption("network_activity", "connection_info.direction_id", "direction_id") }},
        'protocol_name': protocol_name,
        'protocol_num': coalesce(
            try_cast(protocol as integer), case protocol_name when 'tcp' then 6 when 'udp' then 17 end
        ),
        'protocol_ver_id': protocol_ver_id,
        'protocol_ver': {{ ocsf_caption("network_activity", "connection_info.protocol_ver_id", "protocol_ver_id") }}
    } as connection_info,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("src_endpoint.ip", 2, "src_ip"),
        observable("dst_endpoint.ip", 2, "dst_ip"),
        observable("dst_endpoint.hostname", 1, "destination_hostname"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, application)")),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'SourcePortName': source_port_name,
        'DestinationPortName': destination_port_name,
        'LayerName': layer_name,
        'FilterRTID': filter_runtime_id
    })) as unmapped
from events
