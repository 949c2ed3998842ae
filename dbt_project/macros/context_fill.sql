{#- What was found, written into places of OCSF's own. Only what the log itself left empty is filled. -#}


{#- The columns of `event` that change, as `expression as column` for a REPLACE. -#}
{% macro context_filled(made) -%}
{%- set filled = [] -%}
{%- for name, type, fields in made.types -%}
  {%- if name == 'enrichments' and made.asked -%}
    {%- do filled.append(context_appended(made.asked, 'enrichments') ~ " as enrichments") -%}
  {%- elif name == 'osint' and made.asked and 'indicators' in made.held.observables -%}
    {%- do filled.append(context_appended(made.asked, 'osint') ~ " as osint") -%}
  {%- elif name == 'observables' -%}
    {%- do filled.append(context_observables(made.observed, type) ~ " as observables") -%}
  {%- elif fields -%}
    {%- set below = [] -%}
    {%- for subject in made.asked if (subject.path ~ '.').startswith(name ~ '.') and (subject.called or subject.places) -%}{%- do below.append(subject) -%}{%- endfor -%}
    {%- if below -%}{%- do filled.append(context_object(name, type, fields, below) ~ ' as "' ~ name ~ '"') -%}{%- endif -%}
  {%- endif -%}
{%- endfor -%}
{{ filled | join(',\n') }}
{%- endmacro %}


{#- A list of the event with what was found for every subject behind it; NULL when there is nothing. -#}
{% macro context_appended(asked, list) -%}
nullif(list_concat(event.{{ list }}
{%- for subject in asked %}, event.context_{{ subject.number }}.{{ list }}{% endfor %}), [])
{%- endmacro %}


{#- An object written anew in its own type, with the places of the subjects in it filled. -#}
{% macro context_object(path, type, fields, subjects) -%}
{%- set own = [] -%}
{%- for subject in subjects if subject.path == path -%}{%- do own.append(subject) -%}{%- endfor -%}
{%- set of = "event." ~ path -%}
case when {{ of }} is not null then {
{%- for name, field_type, inner in fields %}
  {%- set below = [] -%}
  {%- for subject in subjects if (subject.path ~ '.').startswith(path ~ '.' ~ name ~ '.') -%}{%- do below.append(subject) -%}{%- endfor %}
  '{{ name }}': {% if below -%}
    {{ context_object(path ~ '.' ~ name, field_type, inner, below) }}
  {%- elif own -%}
    {{ context_place(own[0], of, name, field_type, inner) }}
  {%- else -%}
    {{ of }}."{{ name }}"
  {%- endif -%}{{ ',' if not loop.last }}
{%- endfor %}
}::{{ type }} end
{%- endmacro %}


{#- One attribute of a machine or an account: its own value, or what was found. -#}
{% macro context_place(subject, of, name, type, fields) -%}
{%- set found = "event.context_" ~ subject.number -%}
{%- set own = of ~ '."' ~ name ~ '"' -%}
{%- set known = found ~ ".known" -%}
{%- if name in ('location', 'autonomous_system') and {'location': 'geoip_city', 'autonomous_system': 'geoip_asn'}[name] in subject.places -%}
coalesce({{ own }}, {{ geoip_struct(name, type, found ~ '.' ~ {'location': 'geoip_city', 'autonomous_system': 'geoip_asn'}[name]) }})
{%- elif name == 'isp' and 'geoip_isp' in subject.places -%}
coalesce({{ own }}, {{ found }}.geoip_isp.isp)
{%- elif not subject.called -%}
{{ own }}
{%- elif name in ('hostname', 'name') and subject.entity == 'machine' or name in ('full_name', 'email_addr') and subject.entity == 'account' -%}
coalesce({{ own }}, {{ known }}.{{ name }})
{%- elif name in ('type', 'type_id') -%}
case when coalesce({{ of }}."type_id", 0) = 0 then coalesce({{ known }}.{{ name }}, {{ own }}) else {{ own }} end
{%- elif name == 'owner' and subject.entity == 'machine' -%}
coalesce({{ own }}, case when {{ known }}.owner is not null then {{ context_struct(fields, {'name': known ~ '.owner'}) }}::{{ type }} end)
{%- elif name == 'groups' and subject.entity == 'account' -%}
coalesce({{ own }}, case when len({{ known }}.groups) > 0 then list_transform({{ known }}.groups, lambda each: {'name': each, 'uid': null})::{{ type }} end)
{%- elif name == 'ldap_person' and subject.entity == 'account' -%}
coalesce({{ own }}, case when {{ known }} is not null then {{ context_struct(fields, {
    'employee_uid': known ~ '.employee_uid', 'department': known ~ '.department', 'job_title': known ~ '.job_title',
    'office_location': known ~ '.office_location',
    'manager': 'case when ' ~ known ~ ".manager is not null then {'name': " ~ known ~ '.manager} end'}) }}::{{ type }} end)
{%- else -%}
{{ own }}
{%- endif -%}
{%- endmacro %}

{% macro context_struct(fields, values) -%}
{ {%- for name, type, inner in fields %}'{{ name }}': {{ values.get(name, 'null') }}{{ ', ' if not loop.last }}{% endfor -%} }
{%- endmacro %}


{#- `observables` with one for each attribute that is an observable and has a value, unless the mapping named it. -#}
{% macro context_observables(observed, type) -%}
{%- set scalars, lists = [], [] -%}
{%- for each in observed -%}{%- do (lists if each.is_list else scalars).append(each) -%}{%- endfor -%}
{%- set given = "coalesce(list_transform(event.observables, lambda it: replace(it.name, '[]', '')), [])" -%}
nullif(list_concat(event.observables
{%- if scalars %}, list_filter([
  {%- for each in scalars %}
  {{ context_observable(each, each.sql) }}{{ ',' if not loop.last }}
  {%- endfor %}
], lambda each: each.value is not null and not list_contains({{ given }}, each.name))
{%- endif %}
{%- for each in lists %}, case when not list_contains({{ given }}, '{{ each.name | replace('[]', '') }}') then list_transform(
  list_sort(list_distinct({{ each.sql }})), lambda each: {{ context_observable(each, 'each') }}) end
{%- endfor %})::{{ type }}, [])
{%- endmacro %}

{% macro context_observable(each, value) -%}
{'name': '{{ each.name }}', 'type': '{{ each.type }}', 'type_id': {{ each.type_id }}, 'value': {{ value }}}
{%- endmacro %}
