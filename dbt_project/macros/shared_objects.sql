{#- OCSF objects that mappings of several sources fill. -#}


{% macro aws_account(uid) -%}
{
      'uid': {{ uid }},
      'type_id': case when {{ uid }} is not null then 10 end,
      'type': case when {{ uid }} is not null then 'AWS Account' end
    }
{%- endmacro %}


{#- The last part of a path. -#}
{% macro windows_file_name(path) -%}
nullif(regexp_extract({{ path }}, '[^\\/]+$'), '')
{%- endmacro %}


{#- A file by its path. type_id 1 is a regular file, 8 an executable, 6 a named pipe. -#}
{% macro windows_file(path, type_id=1, extra={}) -%}
{%- set known = windows_file_name(path) ~ " is not null" -%}
{'name': {{ windows_file_name(path) }}, 'path': case when {{ known }} then {{ path }} end,
     'type_id': case when {{ known }} then {{ type_id }} end,
     'type': case when {{ known }} then {{ ocsf_caption("file_activity", "file.type_id", type_id) }} end
     {%- for name, value in extra.items() %}, '{{ name }}': {{ value }}{% endfor %}}
{%- endmacro %}
