{#-
  GeoIP: the network that an address lies in, in the database of its time. `context_places.sql` asks it for the addresses
  of machines.

  The tables behind it (views `reference.geoip_*`; their `_blocks`, of which a run keeps `_index` and `_versions` in memory)
  are ranges over one number space: an address is its 128-bit number, IPv4 as ::ffff:a.b.c.d. They have no rows when no
  database is loaded.

  Spark has neither ASOF JOIN nor UHUGEINT. Both stay inside `geoip_address_key` and `geoip_hits`: there, the key becomes 32
  hex digits, and the block is found with a window over the union of keys and block starts (a block has at most 64 ranges).
-#}


{#- Rows of `table` for the (ip, event_hour, key) rows of `address`: at most one each, from the version valid at the hour.
    The block is found first, so that only blocks somebody asked for are read. -#}
{% macro geoip_hits(address, table) -%}
with dated as materialized (
  select address.ip, address.event_hour, address.key, version.ip_version, version.version
  from {{ address }} as address
  join reference.{{ table }}_versions as version
    on version.ip_version = case when address.key >> 32 = 65535 then 4 else 6 end
    and version.valid_from <= address.event_hour
    and version.valid_to > address.event_hour
),
placed as materialized (
  select wanted.key, wanted.version, block.block
  from (select distinct key, ip_version, version from dated) as wanted
  asof join reference.{{ table }}_index as block
    on block.version = wanted.version and block.ip_version = wanted.ip_version and block.start_key <= wanted.key
),
hit as materialized (
  select placed.key, payload.* exclude (block, ip_version, end_high, end_low)
  from placed
  join reference.{{ table }} as payload on payload.block = placed.block
  where placed.key between {{ geoip_number('payload.start_high', 'payload.start_low') }}
    and {{ geoip_number('payload.end_high', 'payload.end_low') }}
  qualify row_number() over (partition by placed.key, placed.version order by payload.start_high desc, payload.start_low desc) = 1
)
select dated.ip, dated.event_hour, hit.* exclude (key, start_high, start_low, valid_from, valid_to)
from dated join hit on hit.key = dated.key and hit.version = dated.version
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


{#- SELECT (value, hex) of the addresses in the column `value` of `relation`, as `ip_hex` makes it of one. Step by step, for
    an expression that repeats its parts takes longer to plan than to compute (45 ms). -#}
{% macro ip_hexes(relation) -%}
{%- set octet = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])' -%}
{%- set ipv4 = '(' ~ octet ~ '[.]){3}' ~ octet -%}
select value, case when is_ipv4 then repeat('0', 20) || 'ffff' || replace(tail_groups, ':', '') when is_ipv6 then {{ ipv6_hex('groups') }} end as hex
from (
  select value, is_ipv4, tail_groups, contains(bare, ':') and (tail is null or tail_is_ipv4) as is_ipv6,
    case when tail is null then bare else left(bare, length(bare) - length(tail)) || tail_groups end as groups
  from (
    select value, bare, tail, value = tail and tail_is_ipv4 as is_ipv4, tail_is_ipv4, case when tail_is_ipv4 then {{ ipv4_groups('tail') }} end as tail_groups
    from (
      select value, bare, tail, regexp_full_match(tail, '{{ ipv4 }}') as tail_is_ipv4
      from (
        select value, bare, case when contains(bare, '.') then regexp_extract(bare, '[0-9.]+$') end as tail
        from (select value, lower(split_part(value, '%', 1)) as bare from {{ relation }})
      )
    )
  )
)
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


{#- `location` or `autonomous_system` of a hit with the attributes that the class's type has, NULL where OCSF would not
    accept it (location: one of city, country, postal_code, region; autonomous_system: number or name). -#}
{% macro geoip_struct(name, type, hit) -%}
{%- set sources = {
    'location': {'city': 'city', 'country': 'country_code', 'region': 'region', 'continent': 'continent',
      'postal_code': 'postal_code', 'lat': 'latitude', 'long': 'longitude'},
    'autonomous_system': {'number': 'as_number', 'name': 'as_org'},
  }[name] -%}
{%- set needed = ['city', 'country_code', 'region', 'postal_code'] if name == 'location' else ['as_number', 'as_org'] -%}
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
