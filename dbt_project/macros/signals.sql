{#- What gold models share: who somebody is across sources, which machine a name means, where on earth, and words.

    An account is known by the directory's own id of the person (enrichment `identity`), else by the id that the log
    gives (a SID, an Okta id), else by its name in lower case. A machine by the CMDB's id (enrichment `asset`), else by
    its host name in lower case. Nothing is guessed: names of two sources are one account only if the directory says so. -#}


{#- The data of the first entry of `enrichments` with the first of these names that has one of this type, as JSON. -#}
{% macro entry_of(names, type) -%}
coalesce({% for name in names %}({{ enrichments_of(name, type) }}[1]).data{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- One field of such data as text. -#}
{% macro entry_text(data, field) -%}
nullif(json_extract_string({{ data }}, '$.{{ field }}'), '')
{%- endmacro %}

{#- One field of such data as a list of texts; empty where there is none. -#}
{% macro entry_list(data, field) -%}
coalesce(json_extract_string({{ data }}, '$.{{ field }}[*]'), []::varchar[])
{%- endmacro %}

{#- The name of the network that an address is known to belong to: a warning list (a cloud, a VPN), or one of our own by the
    CMDB. Where somebody is does not follow from such an address, and a threat list that names it is mistaken. -#}
{% macro known_network() -%}
{%- set own = entry_of(["src_endpoint"], "asset") -%}
coalesce({{ entry_text(entry_of(["src_endpoint.ip", "src_endpoint"], "warning_list"), "name") }},
      case when contains(lower({{ entry_text(own, "type") }}), 'network') or list_has_any({{ asset_tags(own) }}, ['egress', 'vpn']) then {{ entry_text(own, "name") }} end)
{%- endmacro %}

{#- user: an OCSF user (SQL), identity: the data of its directory entry. -#}
{% macro canonical_user(user, identity) -%}
coalesce({{ entry_text(identity, "uid") }}, nullif({{ user }}.uid, ''), lower({{ user }}.name))
{%- endmacro %}

{#- hostname: SQL, asset: the data of its CMDB entry. -#}
{% macro canonical_asset(hostname, asset) -%}
coalesce({{ entry_text(asset, "uid") }}, lower({{ hostname }}))
{%- endmacro %}

{#- What a machine is tagged with, in lower case: its tags, and the environment that it belongs to. -#}
{% macro asset_tags(asset) -%}
list_sort(list_distinct(list_filter(list_transform({{ entry_list(asset, "tags") }} || [{{ entry_text(asset, "environment") }}], lambda tag: lower(tag)), lambda tag: tag <> '')))
{%- endmacro %}

{#- Whether an account is somebody's, not the computer's own (S-1-5-7 is the anonymous logon; DWM-1 and UMFD-0 draw windows). -#}
{% macro is_somebody(user) -%}
({{ user }}.name is not null and coalesce({{ user }}.type_id, 0) <> 3 and {{ user }}.name not like '%$' and {{ user }}.name <> 'Unknown'
    and coalesce({{ user }}.uid, '') not in ('S-1-5-7', 'S-1-5-18', 'S-1-5-19', 'S-1-5-20')
    and not regexp_full_match(upper({{ user }}.name), 'ANONYMOUS LOGON|SYSTEM|LOCAL SERVICE|NETWORK SERVICE|(DWM|UMFD)-[0-9]+'))
{%- endmacro %}

{#- Whether an address belongs to no network of the Internet: RFC 1918, 6598, 3927, loopback, and their like in IPv6. -#}
{% macro is_inside_address(ip) -%}
regexp_matches({{ ip }}, '^(10|127|0)[.]|^192[.]168[.]|^172[.](1[6-9]|2[0-9]|3[01])[.]|^169[.]254[.]|^100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]|^::1?$|^[fF][cCdD][0-9a-fA-F]{2}:|^[fF][eE][89abAB][0-9a-fA-F]:')
{%- endmacro %}

{#- Kilometres between two places on a sphere of 6,371 km (haversine), from degrees. -#}
{% macro kilometres(lat_1, long_1, lat_2, long_2) -%}
(2 * 6371 * asin(least(1, sqrt(
    power(sin(radians({{ lat_2 }} - {{ lat_1 }}) / 2), 2)
    + cos(radians({{ lat_1 }})) * cos(radians({{ lat_2 }})) * power(sin(radians({{ long_2 }} - {{ long_1 }}) / 2), 2)))))
{%- endmacro %}

{#- Whether a command line hands PowerShell an encoded command. PowerShell takes any beginning of -EncodedCommand, and -ec. -#}
{% macro is_encoded_command(cmd_line) -%}
(len(list_filter(regexp_extract_all({{ cmd_line }}, '(?i)\s[-/](e[a-z]*)\s+["'']?[A-Za-z0-9+/]{16,}', 1),
    lambda word: starts_with('encodedcommand', lower(word)) or lower(word) = 'ec')) > 0)
{%- endmacro %}
