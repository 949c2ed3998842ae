{#- Reading tables that live in the lake. -#}

{% macro lake_table_select(model) -%}
  {#- SELECT over all hours of a lake_partition model, typed also when it has no file yet. -#}
  {%- set table, source = model.split("__", 1) -%}
  {{ return(lake_call("hw_table", [table, source])) }}
{%- endmacro %}

{% macro union_sources(models) -%}
  {#- The class over all its sources: tables of one class have the same columns, so rows are simply put together. -#}
  {%- for model in models %}
select * from {{ model }}
  {{- " union all" if not loop.last }}
  {%- endfor %}
{%- endmacro %}

{% macro lake_disposition_counts(staged) -%}
  {#- hour → published, duplicate, filtered, collision; unprocessable where there is any. -#}
  {%- set counts = {} -%}
  {%- set found = run_query(
        "select date || 'T' || hour, count(*), count_if(disposition = 'published'),"
        ~ " count_if(disposition = 'duplicate'),"
        ~ " count_if(disposition = 'filtered'), count_if(collision), count_if(disposition = 'unprocessable')"
        ~ " from " ~ staged ~ " group by 1") -%}
  {%- for row in found.rows -%}
    {%- do counts.update({row[0]: {"rows": row[1] | int, "published": row[2] | int, "duplicate": row[3] | int,
                                   "filtered": row[4] | int, "collision": row[5] | int}}) -%}
    {%- if row[6] -%}{%- do counts[row[0]].update({"unprocessable": row[6] | int}) -%}{%- endif -%}
  {%- endfor -%}
  {{ return(counts) }}
{%- endmacro %}
