{#- What mappings of every source need: addresses, observables, leftover fields. SQL that Spark writes differently is
    kept here, so that mappings stay plain. -#}


{#- The text if it is an IPv4 or IPv6 address, else NULL: names of services and '-' never land in an `ip`. An IPv4
    address mapped into IPv6 (::ffff:a.b.c.d) becomes the IPv4 address; a zone index (%eth0) is left out. -#}
{% macro ip_or_null(text) -%}
{%- set octet, group = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])', '[0-9a-f]{1,4}' -%}
{%- set ipv4 = '(' ~ octet ~ '[.]){3}' ~ octet -%}
{%- set ipv6 = ['(' ~ group ~ ':){7}' ~ group, '(' ~ group ~ ':){1,7}:', ':((:' ~ group ~ '){1,7}|:)'] -%}
{%- for n in range(1, 7) -%}
  {%- do ipv6.append('(' ~ group ~ ':){1,' ~ n ~ '}(:' ~ group ~ '){1,' ~ (7 - n) ~ '}') -%}
{%- endfor -%}
case
  when regexp_full_match({{ text }}, '{{ ipv4 }}') then {{ text }}
  when contains({{ text }}, ':')
    and regexp_full_match(
      regexp_replace(lower(split_part({{ text }}, '%', 1)), ':{{ ipv4 }}$', ':0:0'), '{{ ipv6 | join("|") }}')
    then regexp_replace(split_part({{ text }}, '%', 1), '^::[fF]{4}:([0-9.]+)$', '\1')
end
{%- endmacro %}


{#- The 32 hex digits of an IPv4 (as ::ffff:a.b.c.d) or IPv6 address; NULL for text that is no address. For few texts:
    of events, `lake/ocsf/keys.py` makes them in steps. -#}
{% macro ip_hex(ip) -%}
{%- set bare = "case when contains(" ~ ip ~ ", ':') then lower(split_part(" ~ ip ~ ", '%', 1)) else '::ffff:' || "
    ~ ip ~ " end" -%}
{%- set octets = "try_cast(string_split(regexp_extract(" ~ bare ~ ", '[0-9.]+$'), '.') as integer[])" -%}
{%- set groups = "case when contains(" ~ bare ~ ", '.') then regexp_replace(" ~ bare ~ ", '[0-9.]+$', '')"
    ~ " || printf('%02x%02x:%02x%02x', "
    ~ octets ~ "[1], " ~ octets ~ "[2], " ~ octets ~ "[3], " ~ octets ~ "[4]) else " ~ bare ~ " end" -%}
{%- set half = "array_to_string(list_transform(list_filter(string_split(split_part(" ~ groups ~ ", '::', {half}), ':'),"
    ~ " lambda part: part <> ''), lambda part: lpad(part, 4, '0')), '')" -%}
{%- set head, tail = half.replace("{half}", "1"), half.replace("{half}", "2") -%}
case when ({{ ip_or_null(ip) }}) is not null
      then rpad({{ head }}, (32 - length({{ tail }}))::integer, '0') || {{ tail }} end
{%- endmacro %}


{#- The text if it is an e-mail address as OCSF's email_t wants it, else NULL. -#}
{% macro email_or_null(text) -%}
case when regexp_full_match({{ text }}, '[a-zA-Z0-9!#$%&''*+-/=?^_`{|}~.]+@[a-zA-Z0-9-]+[.][a-zA-Z0-9-.]+')
      then {{ text }} end
{%- endmacro %}


{#- The text of the member of a JSON object whose name is a value of the record. `->>` would take a name such as
    `${HOME}` or `$.a` for a path; in a JSON Pointer, escaped, every text is a name. `headwater check` refuses any other
    path that comes from a column. -#}
{% macro json_member(json, name) -%}
({{ json }} ->> ('/' || replace(replace({{ name }}, '~', '~0'), '/', '~1')))
{%- endmacro %}


{#- Milliseconds since 1970 of an ISO 8601 text with Z or an offset; NULL when it is none. -#}
{% macro iso_millis(text) -%}
epoch_ms(try_cast({{ text }} as timestamptz))
{%- endmacro %}


{#- One entry of `observables`: the path of the attribute, its OCSF observable type_id, its value (SQL). -#}
{% macro observable(name, type_id, value) -%}
{'name': '{{ name }}', 'type_id': {{ type_id }}, 'type': '{{ ocsf_enums()["observable.type_id"][type_id] }}',
      'value': {{ value }}::varchar}
{%- endmacro %}

{#- The list of those that have a value. What stands where nothing is known is none. -#}
{% macro observables(entries) -%}
list_filter([
    {{ entries | join(",\n    ") }}
  ], lambda entry: entry.value not in ('Unknown', '-', '0.0.0.0', '::'))
{%- endmacro %}


{#- A text of a record that should be JSON, as JSON: what is none stays a text. -#}
{% macro json_or_text(text) -%}
case when json_valid({{ text }}) then ({{ text }})::json else to_json({{ text }}) end
{%- endmacro %}


{#- JSON text of the fields that have no attribute in OCSF, without the empty ones; NULL when none is left.
    fields: name → SQL expression (text, number, boolean, struct, list or JSON). -#}
{% macro unmapped_json(fields) -%}
nullif(json_merge_patch('{}', to_json({
    {%- for name, value in fields.items() %}
    '{{ name }}': {{ value }}{{ ',' if not loop.last }}
    {%- endfor %}
  }))::varchar, '{}')
{%- endmacro %}


{#- JSON of what is known of some values, without the unknown ones; NULL when none is. -#}
{% macro known_json(values) -%}
nullif(json_merge_patch('{}', to_json({
    {%- for name, value in values.items() %}'{{ name }}': {{ value }}{{ ", " if not loop.last }}{% endfor -%}
  }))::varchar, '{}')::json
{%- endmacro %}
