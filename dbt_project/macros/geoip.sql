{#-
  GeoIP and ASN for the addresses of events. A mapping writes nothing: `enrich_endpoints` fills `location` and
  `autonomous_system` of its endpoints where the log itself gave none.

  The tables behind it (views `reference.geoip_city`, `reference.geoip_asn` and their `_blocks` index) are ranges over one
  number space: an address is its 128-bit number, IPv4 as ::ffff:a.b.c.d. They have no rows when no database is loaded.

  Spark has neither ASOF JOIN nor UHUGEINT. Both stay inside `geoip_address_key` and `geoip_hits`: there, the key becomes 32
  hex digits, the block is found with a window over the union of keys and block starts, and the range with an equality
  join on the block plus `key between start and end` (a block has at most 64 ranges).
-#}


{#- SELECT of `relation` with its endpoint columns enriched; the rows and their number never change.
    relation: name of a CTE or table; columns: the class's [[name, type], …], types as STRUCT texts;
    time_column: TIMESTAMP (UTC) of the event: the databases valid at its hour are asked. -#}
{% macro enrich_endpoints(relation, columns, time_column='_event_at', endpoints=['src_endpoint', 'dst_endpoint']) -%}
{%- set enriched = [] -%}
{%- for name, type in columns if name in endpoints -%}
  {%- set fields = [] -%}
  {%- do struct_fields(type, fields) -%}
  {%- set names = fields | map('first') | list -%}
  {%- if 'ip' in names and ('location' in names or 'autonomous_system' in names) -%}
    {%- do enriched.append([name, type, fields]) -%}
  {%- endif -%}
{%- endfor -%}
{%- if not enriched -%}
select * from {{ relation }}
{%- else -%}
select * from (
with geoip_context as materialized (
{{ geoip_context(relation, enriched | map('first') | list, time_column) }}
)
select event.* replace (
{%- for name, type, fields in enriched %}
  {{ enriched_endpoint('event.' ~ name, type, fields, 'geoip_' ~ name) }} as {{ name }}{{ ',' if not loop.last }}
{%- endfor %}
)
from {{ relation }} as event
{%- for name, type, fields in enriched %}
left join geoip_context as geoip_{{ name }}
  on geoip_{{ name }}.ip = event.{{ name }}.ip
  and geoip_{{ name }}.event_hour = date_trunc('hour', event.{{ time_column }})
{%- endfor %}
)
{%- endif -%}
{%- endmacro %}


{#- One row per distinct (ip, event_hour) of `relation` that has a hit in either table: the columns of
    `location` and of `autonomous_system`. -#}
{% macro geoip_context(relation, endpoints, time_column) -%}
with asked as (
{%- for endpoint in endpoints %}
  {{ 'union' if not loop.first }} select distinct
    {{ endpoint }}.ip as ip,
    date_trunc('hour', {{ time_column }}) as event_hour
  from {{ relation }}
  where {{ endpoint }}.ip is not null
{%- endfor %}
),
hexed as materialized (select ip, event_hour, {{ ip_hex('ip') }} as hex from asked),
address as materialized (
  select ip, event_hour, {{ geoip_address_key('hex') }} as key
  from hexed
  where hex is not null
),
city as ({{ geoip_hits('address', 'geoip_city') }}),
asn as ({{ geoip_hits('address', 'geoip_asn') }})
select
  ip,
  event_hour,
  city.city,
  city.country_code as country,
  city.region,
  city.continent,
  city.postal_code,
  city.latitude as lat,
  city.longitude as long,
  asn.as_number,
  asn.as_org
from city full join asn using (ip, event_hour)
{%- endmacro %}


{#- Rows of `table` for the (ip, event_hour, key) rows of `address`: at most one each, from the version valid at the hour.
    The block is found first, so that only blocks somebody asked for are read and sorted. -#}
{% macro geoip_hits(address, table) -%}
with dated as (
  select address.ip, address.event_hour, address.key, version.ip_version, version.version
  from {{ address }} as address
  join (select distinct version, ip_version, valid_from, valid_to from reference.{{ table }}_blocks) as version
    on version.ip_version = case when address.key >> 32 = 65535 then 4 else 6 end
    and version.valid_from <= address.event_hour
    and version.valid_to > address.event_hour
),
block as (
  select version, ip_version, block, {{ geoip_number('start_high', 'start_low') }} as start_key
  from reference.{{ table }}_blocks
),
placed as materialized (
  select dated.ip, dated.event_hour, dated.key, block.block
  from dated
  asof join block
    on block.version = dated.version and block.ip_version = dated.ip_version and block.start_key <= dated.key
),
network as (
  select
    block,
    {{ geoip_number('start_high', 'start_low') }} as start_key,
    {{ geoip_number('end_high', 'end_low') }} as end_key
  from reference.{{ table }}
  where block in (select block from placed)
),
hit as materialized (
  select placed.ip, placed.event_hour, network.block, network.start_key
  from placed
  asof join network on network.block = placed.block and network.start_key <= placed.key
  where network.end_key >= placed.key
)
select hit.ip, hit.event_hour, payload.* exclude (block, start_high, start_low)
from hit
join reference.{{ table }} as payload
  on payload.block = hit.block
  and payload.start_high = (hit.start_key >> 64)::ubigint
  and payload.start_low = (hit.start_key & 18446744073709551615::uhugeint)::ubigint
{%- endmacro %}


{#- 128-bit number of two UBIGINT halves. -#}
{% macro geoip_number(high, low) -%}
({{ high }}::uhugeint << 64 | {{ low }}::uhugeint)
{%- endmacro %}


{#- The number under which an address is looked up, from its 32 hex digits. An address that carries an IPv4 address is
    looked up as that one: IPv4-compatible (::/96), 6to4 (2002::/16, RFC 3056) and NAT64 (64:ff9b::/96, RFC 6052). Teredo
    (2001::/32) is not: its readable IPv4 address is the relay server's, and a wrong place is worse than none. -#}
{% macro geoip_address_key(hex) -%}
{%- set number = geoip_number("('0x' || left(" ~ hex ~ ", 16))::ubigint", "('0x' || right(" ~ hex ~ ", 16))::ubigint") -%}
{%- set mapped = "('0xffff' || {digits})::ubigint::uhugeint" -%}
case
  when left({{ hex }}, 24) = repeat('0', 24) then {{ mapped.replace('{digits}', 'right(' ~ hex ~ ', 8)') }}
  when left({{ hex }}, 24) = '0064ff9b' || repeat('0', 16) then {{ mapped.replace('{digits}', 'right(' ~ hex ~ ', 8)') }}
  when left({{ hex }}, 4) = '2002' then {{ mapped.replace('{digits}', 'substr(' ~ hex ~ ', 5, 8)') }}
  else {{ number }}
end
{%- endmacro %}


{#- The 32 hex digits of an IPv4 (as ::ffff:a.b.c.d) or IPv6 address, any zone index (%eth0) left out; NULL for text that is
    no address. IPv4 octets with leading zeros are no address: systems disagree whether they are octal. -#}
{% macro ip_hex(ip) -%}
{%- set octet = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])' -%}
{%- set ipv4 = '(' ~ octet ~ '[.]){3}' ~ octet -%}
{%- set bare = "lower(split_part(" ~ ip ~ ", '%', 1))" -%}
{%- set tail = "regexp_extract(" ~ bare ~ ", '[0-9.]+$')" -%}
{%- set groups = "case when contains(" ~ bare ~ ", '.') then regexp_replace(" ~ bare ~ ", '[0-9.]+$', '') || "
    ~ ipv4_groups(tail) ~ " else " ~ bare ~ " end" -%}
case
  when regexp_full_match({{ ip }}, '{{ ipv4 }}') then repeat('0', 20) || 'ffff' || replace({{ ipv4_groups(ip) }}, ':', '')
  when contains({{ bare }}, ':')
    and (not contains({{ bare }}, '.') or regexp_full_match({{ bare }}, '[0-9a-f:]*:{{ ipv4 }}'))
    then {{ ipv6_hex(groups) }}
end
{%- endmacro %}


{#- 'c0a8:0001' of '192.168.0.1'. -#}
{% macro ipv4_groups(ipv4) -%}
{%- for part in [1, 2, 3, 4] -%}
printf('%02x', try_cast(split_part({{ ipv4 }}, '.', {{ part }}) as integer)){{ " || ':' || " if part == 2 else ' || ' if part != 4 }}
{%- endfor -%}
{%- endmacro %}


{#- The 32 hex digits of colon-separated groups with at most one `::`; NULL when they make no address. -#}
{% macro ipv6_hex(groups) -%}
{%- set text = '(' ~ groups ~ ')' -%}
{%- set count = "len(list_filter(string_split(" ~ text ~ ", ':'), part -> part != ''))" -%}
{%- set padded = "list_transform(list_filter(string_split({half}, ':'), part -> part != ''), part -> lpad(part, 4, '0'))" -%}
case
  when regexp_full_match({{ text }}, '[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}')
    then array_to_string({{ padded.replace('{half}', text) }}, '')
  when regexp_full_match({{ text }}, '([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?') and {{ count }} <= 7
    then array_to_string({{ padded.replace('{half}', "split_part(" ~ text ~ ", '::', 1)") }}, '')
      || repeat('0000', 8 - {{ count }})
      || array_to_string({{ padded.replace('{half}', "split_part(" ~ text ~ ", '::', 2)") }}, '')
end
{%- endmacro %}


{#- The endpoint written anew in its own type, `location` and `autonomous_system` filled where they are NULL. -#}
{% macro enriched_endpoint(endpoint, type, fields, hit) -%}
case when {{ endpoint }} is not null then {
{%- for name, field_type in fields %}
    '{{ name }}': {% if name in ['location', 'autonomous_system'] -%}
    coalesce({{ endpoint }}."{{ name }}", {{ geoip_struct(name, field_type, hit) }})
    {%- else -%}
    {{ endpoint }}."{{ name }}"
    {%- endif -%}{{ ',' if not loop.last }}
{%- endfor %}
  }::{{ type }} end
{%- endmacro %}


{#- `location` or `autonomous_system` of a hit with the attributes that the class's type has, NULL where OCSF would not
    accept it (location: one of city, country, postal_code, region; autonomous_system: number or name). -#}
{% macro geoip_struct(name, type, hit) -%}
{%- set sources = {
    'location': {'city': 'city', 'country': 'country', 'region': 'region', 'continent': 'continent',
      'postal_code': 'postal_code', 'lat': 'lat', 'long': 'long'},
    'autonomous_system': {'number': 'as_number', 'name': 'as_org'},
  }[name] -%}
{%- set needed = ['city', 'country', 'region', 'postal_code'] if name == 'location' else ['as_number', 'as_org'] -%}
{%- set fields = [] -%}
{%- do struct_fields(type, fields) -%}
case when coalesce({% for column in needed %}{{ hit }}.{{ column }}::varchar{{ ', ' if not loop.last }}{% endfor %}) is not null
      then {
      {%- for field, field_type in fields -%}
      '{{ field }}': {{ hit ~ '.' ~ sources[field] if field in sources else 'null' }}{{ ', ' if not loop.last }}
      {%- endfor -%}
      }::{{ type }} end
{%- endmacro %}


{#- Appends [name, type] of every top-level field of the STRUCT text `type` to `fields` (a macro itself returns only text). -#}
{% macro struct_fields(type, fields) -%}
{%- set state = namespace(depth=0, field='') -%}
{%- if type.upper().startswith('STRUCT(') and type.endswith(')') -%}
  {%- for character in type[7:-1] ~ ',' -%}
    {%- if character == ',' and state.depth == 0 -%}
      {%- set parts = state.field.strip().split(' ', 1) -%}
      {%- do fields.append([parts[0].strip('"'), parts[1].strip()]) -%}
      {%- set state.field = '' -%}
    {%- else -%}
      {%- set state.depth = state.depth + {'(': 1, ')': -1}.get(character, 0) -%}
      {%- set state.field = state.field ~ character -%}
    {%- endif -%}
  {%- endfor -%}
{%- endif -%}
{%- endmacro %}
