{#- From what a mapping gives to a whole OCSF event. A mapping gives the attributes it fills and nothing else. -#}

{% macro ocsf_metadata(
    vendor_name, product_name, event_code="null", log_name="null", original_time="null", log_provider="null",
    correlation_uid="null", tenant_uid="null", log_level="null", feature_name="null", labels="null::varchar[]",
    version="null", sequence="null::integer"
) -%}
  {#- The `metadata` object of a source's events. Arguments are SQL expressions; vendor and product are plain names. It
      carries the pipeline's columns and the record (`_record`); version, profiles and logged_time (arrival) are
      filled in for every event. -#}
  {'product': {'name': '{{ product_name }}', 'vendor_name': '{{ vendor_name }}', 'version': {{ version }}::varchar,
     'feature': {'name': {{ feature_name }}::varchar}},
   'event_code': {{ event_code }}::varchar, 'log_name': {{ log_name }}::varchar,
   'log_provider': {{ log_provider }}::varchar, 'log_level': {{ log_level }}::varchar,
   'original_time': {{ original_time }}::varchar, 'correlation_uid': {{ correlation_uid }}::varchar,
   'tenant_uid': {{ tenant_uid }}::varchar, 'labels': {{ labels }}, 'sequence': {{ sequence }}, 'uid': _event_key,
   '_record': {'event_at': _event_at, 'arrived_at': _arrived_at, 'batch': _batch,
     'source_object': _source_object, 'source_row': _source_row, 'record': _raw}}
{%- endmacro %}

{% macro lake_events(made, sql, enrich=true) -%}
  {#- The SELECT that a lake_partition model really writes: conformed, completed, with its context and its partition. A
      mart is not enriched: it is made of enriched events. `made` is what `lake_plan` gives. -#}
with mapped as (
{{ sql }}
),
{{ made.steps }},
enriched as (
{{ made.events if enrich else "select * from completed" }}
)
select * exclude (_event_key, _event_at, _arrived_at) replace (
    {{ made.metadata }} as metadata
  ),
  strftime(_event_at, '%Y-%m-%d') as date, strftime(_event_at, '%H') as hour
from enriched
{%- endmacro %}

{% macro lake_plan(table, described) -%}
  {#- How events of a class are made of the columns of a SELECT, and what they are asked about. -#}
  {{ return(fromjson(lake_call("hw_events", [model.name, table, described]))) }}
{%- endmacro %}

{% macro lake_described(sql) -%}
  {#- The columns of a SELECT as JSON: [[name, type], …]. -#}
  {%- set described = [] -%}
  {%- for row in run_query("describe (" ~ sql ~ "\n)").rows -%}
    {%- do described.append([row[0], row[1]]) -%}
  {%- endfor -%}
  {{ return(tojson(described)) }}
{%- endmacro %}

{% macro ocsf_type(class_name) -%}
  {#- One class of `ocsf_types()`, without making the others. -#}
  {{ return(context["ocsf_type__" ~ class_name]()) }}
{%- endmacro %}

{% macro lake_rule_breaks(check) -%}
  {#- hour → rule → [rows, metadata.uid of one]; empty when every row keeps every rule. -#}
  {%- set invalid = {} -%}
  {%- if run_query(check.count_sql).columns[0].values()[0] > 0 -%}
    {%- for row in run_query(check.rules_sql).rows -%}
      {%- do invalid.setdefault(row[0], {}).update({row[1]: [row[2] | int, row[3]]}) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(invalid) }}
{%- endmacro %}
