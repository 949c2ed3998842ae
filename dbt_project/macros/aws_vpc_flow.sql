{#- The objects of VPC flows, from the columns of stg_aws__vpc_flow. Where OCSF's own dossier
    (github.com/ocsf/examples, AWS v1.5.0, VPC Flowlogs) says where a field goes, it goes there. -#}


{#- One end of a flow. `side` is source or destination, `here` the direction in which that end is the interface. Of an
    address that something between replaced, the packet's is the endpoint's, and the replaced one is in between. Only
    the direction tells which end the interface is; a flow log without it says so in unmapped. -#}
{% macro vpc_flow_endpoint(side, here) -%}
{
      'ip': coalesce(packet_{{ side }}_ip, {{ side }}_ip),
      'name': case when coalesce(packet_{{ side }}_ip, {{ side }}_ip) is null then coalesce({{ side }}_address, 'Unknown') end,
      'intermediate_ips': case when packet_{{ side }}_ip <> {{ side }}_ip then [{{ side }}_ip] end,
      'port': case when protocol in (6, 17, 33, 132, 136) and {{ side }}_port between 0 and 65535 then {{ side }}_port::integer end,
      'svc_name': {{ side }}_service,
      'interface_uid': case when flow_direction = '{{ here }}' then interface_id end,
      'instance_uid': case when flow_direction = '{{ here }}' then instance_id end,
      'vpc_uid': case when flow_direction = '{{ here }}' then vpc_id end,
      'subnet_uid': case when flow_direction = '{{ here }}' then subnet_id end
    }
{%- endmacro %}


{#- IANA's name of a protocol number, in small letters as OCSF has it. -#}
{% macro protocol_name(number) -%}
case {{ number }}
        when 1 then 'icmp' when 2 then 'igmp' when 4 then 'ipv4' when 6 then 'tcp' when 17 then 'udp' when 33 then 'dccp'
        when 41 then 'ipv6' when 47 then 'gre' when 50 then 'esp' when 51 then 'ah' when 58 then 'ipv6-icmp'
        when 89 then 'ospfigp' when 112 then 'vrrp' when 132 then 'sctp' when 136 then 'udplite'
      end
{%- endmacro %}


{% macro vpc_flow_connection() -%}
{
      'direction_id': case flow_direction when 'ingress' then 1 when 'egress' then 2 else 0 end,
      'direction': case flow_direction when 'ingress' then 'Inbound' when 'egress' then 'Outbound' else 'Unknown' end,
      'protocol_num': try_cast(protocol as integer),
      'protocol_name': {{ protocol_name("protocol") }},
      'protocol_ver_id': ip_version_id,
      'protocol_ver': case ip_version_id
        when 4 then 'Internet Protocol version 4 (IPv4)' when 6 then 'Internet Protocol version 6 (IPv6)' else ip_type
      end,
      'tcp_flags': try_cast(tcp_flags as integer),
      'boundary_id': boundary_id,
      'boundary': {{ ocsf_caption("network_activity", "connection_info.boundary_id", "boundary_id") }}
    }
{%- endmacro %}


{#- The field names are those of the Parquet variant, as in the dossier. -#}
{% macro vpc_flow_unmapped() -%}
{%- set fields = {
      "reject_reason": "case when action_is_reject is not true then reject_reason end",
      "sublocation_type": "sublocation_type",
      "sublocation_id": "sublocation_id",
      "resource_id": "resource_id",
      "encryption_status": "encryption_status",
    } -%}
{%- for name in ("interface_id", "instance_id", "vpc_id", "subnet_id") -%}
  {%- do fields.update({name: "case when is_located is not true then " ~ name ~ " end"}) -%}
{%- endfor -%}
{%- for name in ("cluster_arn", "cluster_name", "container_instance_arn", "container_instance_id", "container_id",
      "second_container_id", "service_name", "task_definition_arn", "task_arn", "task_id") -%}
  {%- do fields.update({"ecs_" ~ name: "ecs_" ~ name}) -%}
{%- endfor -%}
{{ unmapped_json(fields) }}
{%- endmacro %}
