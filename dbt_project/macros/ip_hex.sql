{#- Addresses as 32 hexadecimal digits. `lake/ocsf/keys.py` has the same for context. -#}


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
