{#- Context of addresses from GeoIP databases (`geoip.sql` looks them up): their entries, and the places they fill. -#}

{#- CTEs `places` (ip, event_hour, key: addresses of machines) and `<table>_hit`. -#}
{% macro context_places(asked, tables) -%}
{%- set paths = [] -%}
{%- for subject in asked if subject.place -%}{%- do paths.append("'" ~ subject.path ~ ".ip'") -%}{%- endfor -%}
place_asked as materialized (
  select subject, id, event_hour, path, value as ip from asked where path in ({{ paths | join(', ') or "''" }})
),
places as materialized (
  select distinct place_asked.ip, place_asked.event_hour, address.geoip_key as key
  from place_asked join address on address.value = place_asked.ip
)
{%- for table in tables %},
{{ table }}_hit as materialized ({{ geoip_hits('places', table) }})
{%- endfor %}
{%- endmacro %}


{#- Rows of `entry`: which database said it, and what it says of an address that OCSF has no place for. -#}
{% macro context_place_entries(table) -%}
{%- set data = {"version": "hit.version", "built_at": context_time("hit.built_at")} -%}
{%- set facts = {
    'geoip_anonymous': ['is_anonymous', 'is_anonymous_vpn', 'is_hosting_provider', 'is_public_proxy',
      'is_residential_proxy', 'is_tor_exit_node'],
    'geoip_isp': ['isp', 'organization'],
  }.get(table, []) -%}
{%- for fact in facts -%}{%- do data.update({fact: "hit." ~ fact}) -%}{%- endfor -%}
select asked.subject, asked.id, asked.event_hour, asked.event_hour, asked.event_hour + interval 1 hour,
    {{ {'geoip_city': 10, 'geoip_asn': 11, 'geoip_isp': 12, 'geoip_anonymous': 13}[table] }}, asked.path,
    '{{ {'geoip_city': 'location', 'geoip_asn': 'autonomous_system', 'geoip_isp': 'isp', 'geoip_anonymous': 'anonymous_ip'}[table] }}',
    asked.ip, hit.database_type, epoch_ms(hit.learned_at), {{ context_json(data) }}, null
  from place_asked as asked join {{ table }}_hit as hit on hit.ip = asked.ip and hit.event_hour = asked.event_hour
{%- endmacro %}
