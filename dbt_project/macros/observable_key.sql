{#-
  Keys of observables, as `ingest/reference/observables.py` makes them for reference tables: two UBIGINT halves. A test
  holds both against each other.

  Addresses and networks have the number of their IPv6 form (`geoip_address_key`), everything else the MD5 of
  `kind:text`. DuckDB's own here: md5_number_upper and md5_number_lower, which read the digest as two little-endian
  numbers; elsewhere `unhex(md5(…))` and its bytes.
-#}


{#- The text of an observable under which it has its key; NULL where it is none of its kind. `kind` and `text` are SQL.
    Internationalised names are looked up as they are written in DNS (xn--…): SQL does not know IDNA. -#}
{% macro observable_text(kind, text) -%}
{%- set bare = "trim(" ~ text ~ ", e' \\t\\r\\n')" -%}
{%- set lowered = "lower(" ~ bare ~ ")" -%}
{%- set domain = "rtrim(" ~ lowered ~ ", '.')" -%}
{%- set label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?' -%}
case {{ kind }}
  when 'domain' then case when length({{ domain }}) between 1 and 253
    and regexp_full_match({{ domain }}, '({{ label }}[.])*{{ label }}') then {{ domain }} end
  when 'hash' then case when regexp_full_match({{ lowered }}, '[0-9a-f]+')
    and length({{ lowered }}) in (32, 40, 56, 64, 96, 128) then {{ lowered }} end
  when 'email' then case when regexp_full_match({{ lowered }}, '[^@\s]+@[^@\s]+') then {{ lowered }} end
  when 'cve' then case when regexp_full_match({{ lowered }}, 'cve-[0-9]{4}-[0-9]{4,}') then {{ lowered }} end
  when 'url' then case when regexp_full_match({{ bare }}, '[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+\S*') then
    lower(regexp_extract({{ bare }}, '^[^/]+//[^/?#]+'))
    || coalesce(nullif(regexp_extract({{ bare }}, '^[^/]+//[^/?#]+(.*)$', 1), ''), '/') end
  when 'name' then nullif({{ lowered }}, '')
end
{%- endmacro %}


{#- The halves of the key of a text that `observable_text` made. -#}
{% macro observable_high(kind, text) -%}
md5_number_upper({{ kind }} || ':' || {{ text }})
{%- endmacro %}

{% macro observable_low(kind, text) -%}
md5_number_lower({{ kind }} || ':' || {{ text }})
{%- endmacro %}


{#- Rows (prefix, mask_high, mask_low) of a list of prefix lengths out of 128: what is left of an address in a network. -#}
{% macro network_masks(prefixes) -%}
{%- set full = 2 ** 64 - 1 -%}
select * from (values
{%- for prefix in prefixes %}
  ({{ prefix }}::utinyint, {{ full - 2 ** (64 - [prefix, 64] | min) + 1 }}::ubigint, {{ full - 2 ** (128 - [prefix, 64] | max) + 1 }}::ubigint){{ ',' if not loop.last }}
{%- endfor %}
) as mask (prefix, mask_high, mask_low)
{%- endmacro %}


{#- SELECT (value, prefix, key_high, key_low): every network of one of these prefix lengths that an address lies in.
    `addresses` has value, key_high, key_low. An IPv4 address lies in networks of IPv4 only. -#}
{% macro networks_of(addresses, prefixes) -%}
select address.value, mask.prefix, address.key_high & mask.mask_high as key_high, address.key_low & mask.mask_low as key_low
from {{ addresses }} as address
cross join ({{ network_masks(prefixes) }}) as mask
where mask.prefix >= 96 or address.key_high <> 0 or address.key_low >> 32 <> 65535
{%- endmacro %}
