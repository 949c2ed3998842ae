{#- What the models of Microsoft's audit logs share: lists of names and values, ids, and the kinds of users. -#}

{#- A JSON list of names and values as a list; the values stay JSON. -#}
{% macro name_values(json) -%}
json_transform({{ json }}, '[{"Name": "VARCHAR", "Value": "JSON"}]')
{%- endmacro %}

{#- The text of the value of that name in a list that `name_values` made; NULL when it is empty or not there. -#}
{% macro named_value(values, name) -%}
nullif(list_filter({{ values }}, lambda each: each.Name = '{{ name }}')[1].Value ->> '$', '')
{%- endmacro %}

{#- The text of the new value (or of `which`) of a property that changed, without the quotes and lists in which Entra
    writes it: `"Reader"`, `["Reader"]`. -#}
{% macro changed_value(modified, names, which="NewValue") -%}
nullif(trim(
      list_filter({{ modified }}, lambda each: each.Name in ({{ names }}))[1].{{ which }} ->> '$',
      ' "[]' || chr(10) || chr(13)
    ), '')
{%- endmacro %}

{% macro is_guid(text) -%}
regexp_full_match({{ text }}, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')
{%- endmacro %}

{#- What kind of thing of the directory an operation is about, by the words of its name. -#}
{% macro directory_entity_type(words) -%}
case
      when contains({{ words }}, 'device') then 'Device'
      when contains({{ words }}, 'service principal') then 'Service Principal'
      when contains({{ words }}, 'application') then 'Application'
      when contains({{ words }}, 'policy') then 'Policy'
      when contains({{ words }}, 'named location') then 'Named Location'
      when contains({{ words }}, 'administrative unit') then 'Administrative Unit'
      when contains({{ words }}, 'role') then 'Role'
      when contains({{ words }}, 'domain') then 'Domain'
      when contains({{ words }}, 'group') then 'Group'
      when contains({{ words }}, 'user') then 'User'
      when regexp_matches({{ words }}, 'company|partner|tenant|directory|dirsync') then 'Organization'
    end
{%- endmacro %}

{#- OCSF's type_id of such a kind. -#}
{% macro directory_entity_type_id(type) -%}
case {{ type }}
      when 'Device' then 1 when 'User' then 2 when 'Group' then 3 when 'Organization' then 4 when 'Policy' then 5
      when 'Named Location' then 7
      else 99
    end
{%- endmacro %}

{#- A user of the directory by name and id. A name that is an id is none; `Unknown` only where there is neither. -#}
{% macro directory_user(name, uid, full_name="null::varchar", type_id="1") -%}
{
      'name': coalesce(
        case when {{ name }} is distinct from {{ uid }} and not {{ is_guid(name) }} then {{ name }} end,
        {{ full_name }},
        case when {{ uid }} is null and {{ name }} is null then 'Unknown' end
      ),
      'uid': coalesce({{ uid }}, case when {{ is_guid(name) }} then {{ name }} end),
      'full_name': {{ full_name }},
      'email_addr': {{ email_or_null(name) }},
      'type_id': {{ type_id }},
      'type': case {{ type_id }}
        when 0 then 'Unknown' when 1 then 'User' when 2 then 'Admin' when 3 then 'System' when 4 then 'Service'
      end
    }
{%- endmacro %}
