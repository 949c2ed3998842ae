{#- What gold models share: who somebody is across sources, and which machine a name means.

    An account is known by the directory's own id of the person (enrichment `identity`), else by the id that the log
    gives (a SID, an Okta id), else by its name in lower case. A machine by the CMDB's id (enrichment `asset`), else by
    its host name in lower case. Nothing is guessed: names of two sources are one account only if the directory says
    so. -#}


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

{#- user: an OCSF user (SQL), identity: the data of its directory entry. -#}
{% macro canonical_user(user, identity) -%}
coalesce({{ entry_text(identity, "uid") }}, nullif({{ user }}.uid, ''), lower({{ user }}.name))
{%- endmacro %}

{#- hostname: SQL, asset: the data of its CMDB entry. -#}
{% macro canonical_asset(hostname, asset) -%}
coalesce({{ entry_text(asset, "uid") }}, lower({{ hostname }}))
{%- endmacro %}

{#- Whether an account is somebody's, not the computer's own: S-1-5-7 is the anonymous logon; DWM-1 and UMFD-0 draw
    windows. -#}
{% macro is_somebody(user) -%}
({{ user }}.name is not null and coalesce({{ user }}.type_id, 0) <> 3
    and {{ user }}.name not like '%$' and {{ user }}.name <> 'Unknown'
    and coalesce({{ user }}.uid, '') not in ('S-1-5-7', 'S-1-5-18', 'S-1-5-19', 'S-1-5-20')
    and not regexp_full_match(
      upper({{ user }}.name), 'ANONYMOUS LOGON|SYSTEM|LOCAL SERVICE|NETWORK SERVICE|(DWM|UMFD)-[0-9]+'))
{%- endmacro %}
