{#- Context of addresses from GeoIP databases (`geoip.sql` looks them up): their entries, and the places they fill. -#}

{#- Tables `place_asked` (subject, id, event_hour, path, ip: addresses of machines) and `<table>` of each database. Models of
    one run ask for much the same addresses: what was found is kept in `reference.<table>_found` for the run, also that
    nothing was found. Two threads may keep the same; so each address is taken from there once. -#}
{% macro context_places(asked, tables) -%}
{%- set paths = [] -%}
{%- for subject in asked if subject.place -%}{%- do paths.append("'" ~ subject.path ~ ".ip'") -%}{%- endfor -%}
{{ context_table('place_asked', "select subject, id, event_hour, path, value as ip from context_asked where path in (" ~ (paths | join(', ') or "''") ~ ")") }}
{{ context_table('places', "select distinct asked.ip, asked.event_hour, address.geoip_key as key
from context_place_asked as asked join context_address as address on address.value = asked.ip") }}
{%- for table in tables %}
{{ context_table('places_new', "select * from context_places anti join reference." ~ table ~ "_found using (ip, event_hour)") }}
insert into reference.{{ table }}_found by name
select places.ip, places.event_hour, hit.* exclude (ip, event_hour)
from context_places_new as places left join ({{ geoip_hits('context_places_new', table) }}) as hit using (ip, event_hour);
{{ context_table(table, "select distinct on (ip, event_hour) * from reference." ~ table ~ "_found
where version is not null and (ip, event_hour) in (select (ip, event_hour) from context_places)") }}
{%- endfor %}
{%- endmacro %}


{#- Rows of `entry`: which database said it, and what it says of an address that OCSF has no place for. -#}
{% macro context_place_entries(table) -%}
{%- set facts = {
    'geoip_anonymous': ['is_anonymous', 'is_anonymous_vpn', 'is_hosting_provider', 'is_public_proxy',
      'is_residential_proxy', 'is_tor_exit_node', 'anonymizer_confidence', 'network_last_seen', 'provider_name'],
    'geoip_isp': ['isp', 'organization', 'mobile_country_code', 'mobile_network_code', 'connection_type', 'domain', 'user_type'],
    'geoip_connection': ['connection_type'],
    'geoip_domain': ['domain'],
  }.get(table, []) -%}
{%- set said = ['database_type', 'version', 'built_at', 'learned_at'] + facts -%}
{%- set data = {'version': 'version', 'built_at': context_time('built_at')} -%}
{%- for fact in facts -%}{%- do data.update({fact: fact}) -%}{%- endfor -%}
{%- set types = {'geoip_city': [10, 'location'], 'geoip_asn': [11, 'autonomous_system'], 'geoip_isp': [12, 'isp'],
    'geoip_anonymous': [13, 'anonymous_ip'], 'geoip_connection': [14, 'connection_type'], 'geoip_domain': [15, 'domain']} -%}
select asked.subject, asked.id, asked.event_hour, asked.event_hour, asked.event_hour + interval 1 hour,
    {{ types[table][0] }}, asked.path, '{{ types[table][1] }}', asked.ip, said.database_type, epoch_ms(said.learned_at), said.data, null
  from context_place_asked as asked
  join context_{{ table }} as hit on hit.ip = asked.ip and hit.event_hour = asked.event_hour
  join (select *, {{ context_json(data) }} as data from (select distinct {{ said | join(', ') }} from context_{{ table }})) as said
    on {% for name in said %}said.{{ name }} is not distinct from hit.{{ name }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}
