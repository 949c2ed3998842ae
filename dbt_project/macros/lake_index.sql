{% macro lake_index(model, table) -%}
  {#- Writes, beside the staged hours of a model, which observables each of them holds (lake/matching/index.py): a new list
      of hostile addresses is then held against these small files instead of all events. They are published with the hours. -#}
  {%- for statement in fromjson(lake_call("hw_index", [model, table])) -%}
    {%- do lake_execute(statement) -%}
  {%- endfor -%}
{%- endmacro %}
