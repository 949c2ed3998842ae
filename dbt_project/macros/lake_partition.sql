{#- The materialization of tables that live in the lake, one file per event hour and source.

    A model is named <table>__<source>. Its SQL gives the rows of all hours of the run, with the pipeline's columns
    (_event_at, _event_key, …). Rows are conformed to the table's declared columns, written to a staging folder,
    held against the OCSF rules, and then published hour by hour with a receipt; hours without rows become empty. -#}

{% materialization lake_partition, adapter="duckdb" %}
  {%- set table, source = model.name.split("__", 1) -%}
  {%- set target = this.incorporate(type="view") -%}
  {{ run_hooks(pre_hooks) }}

  {%- set folder = lake_call("hw_stage", [model.name]) -%}
  {%- if table == "dispositions" -%}
    {%- set rows = "select *, strftime(_event_at, '%Y-%m-%d') as date, strftime(_event_at, '%H') as hour from (" ~ compiled_code ~ "\n)" -%}
  {%- else -%}
    {%- set rows = lake_conformed(table, compiled_code) -%}
  {%- endif -%}
  {% call statement("main") -%}
    copy ({{ rows }}) to '{{ folder | replace("'", "''") }}' (
      format parquet, compression zstd, compression_level 1, row_group_size 61440,
      partition_by (date, hour), filename_pattern 'part', overwrite_or_ignore
    )
  {%- endcall %}

  {%- set counts, invalid = {}, {} -%}
  {%- set staged = "read_parquet('" ~ (folder | replace("'", "''")) ~ "/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)" -%}
  {%- if lake_has_rows(folder) -%}
    {%- if table == "dispositions" -%}
      {%- set counts = lake_disposition_counts(staged) -%}
    {%- else -%}
      {%- set invalid = lake_rule_breaks(table, staged) -%}
    {%- endif -%}
  {%- endif -%}
  {%- do lake_call("hw_publish", [tojson({
        "model": model.name, "table": table, "source": source, "counts": counts, "invalid": invalid})]) -%}

  {%- do run_query("create schema if not exists " ~ target.without_identifier()) -%}
  {%- do run_query("create or replace view " ~ target ~ " as " ~ lake_table_select(model.name)) -%}
  {{ run_hooks(post_hooks) }}
  {%- do adapter.commit() -%}
  {{ return({"relations": [target]}) }}
{% endmaterialization %}

{% macro lake_has_rows(folder) -%}
  {{ return(run_query("select count(*) from glob('" ~ (folder | replace("'", "''")) ~ "/*/*/*.parquet')").columns[0].values()[0] > 0) }}
{%- endmacro %}
