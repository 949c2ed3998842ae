{#- What the models of Microsoft Entra's logs share. -#}

{#- A device of the directory by its id, name and operating system (`Windows 11`, `MacOs`, `Ios 17.4`). -#}
{% macro entra_device(uid, name, os, is_managed, ip) -%}
case
      when coalesce({{ uid }}, {{ name }}, {{ os }}) is not null then {
        'uid': {{ uid }},
        'name': coalesce({{ name }}, case when coalesce({{ uid }}, {{ ip }}) is null then 'Unknown' end),
        'ip': {{ ip }},
        'type_id': 0,
        'type': 'Unknown',
        'os': case when {{ os }} is not null then {
          'name': {{ os }},
          'version': nullif(regexp_extract({{ os }}, '[0-9][0-9.]*$'), ''),
          'type_id': {{ entra_os_type_id(os) }},
          'type': coalesce(
            {{ ocsf_caption("base_event", "device.os.type_id", "nullif(" ~ entra_os_type_id(os) ~ ", 99)") }}, {{ os }}
          )
        } end,
        'is_managed': {{ is_managed }}
      }
    end
{%- endmacro %}

{% macro entra_os_type_id(os) -%}
case
          when {{ os }} ilike 'windows%phone%' or {{ os }} ilike 'windows%mobile%' then 101
          when {{ os }} ilike 'windows%' then 100 when {{ os }} ilike 'linux%' then 200
          when {{ os }} ilike 'android%' then 201 when {{ os }} ilike 'mac%' then 300
          when {{ os }} ilike 'ipados%' then 302 when {{ os }} ilike 'ios%' then 301
          else 99
        end
{%- endmacro %}

{#- The text of a value by its name in a detection's `additionalInfo`: a list of keys and values, also as a text. -#}
{% macro info_value(name) -%}
nullif(list_filter(
      json_transform(
        case when json_type(additionalInfo) = 'VARCHAR' and json_valid(additionalInfo ->> '$')
          then (additionalInfo ->> '$')::json else additionalInfo end,
        '[{"Key": "VARCHAR", "Value": "JSON"}]'
      ),
      lambda each: each.Key = '{{ name }}'
    )[1].Value ->> '$', '')
{%- endmacro %}
