{#- Marts: models of gold, one file per event hour, made of silver and of other marts.

    The SQL of a mart gives `_event_at` (TIMESTAMP, UTC), which decides the hour of a row; rows of hours that the run does
    not build are cut. It may see more than the hours of the run: those that `config.meta.reads` says, of all hours of
    the run together. So it bounds by time what it looks back to (`between event.time_dt - interval 24 hours and …`).
    With `config.meta.ocsf_class` it gives `_event_key`, `_event_at` and `_arrived_at` as a mapping does. -#}

{% macro lake_mart_rows(mart, ocsf_class, sql) -%}
  {#- [columns as JSON, the SELECT that is written]. -#}
  {%- set hours = fromjson(lake_call("hw_hours", [mart])) -%}
  {%- set marks = [] -%}
  {%- for hour in hours -%}{%- do marks.append("timestamp '" ~ hour[:10] ~ " " ~ hour[11:] ~ ":00:00'") -%}{%- endfor -%}
  {%- set wanted = "date_trunc('hour', _event_at) in (" ~ marks | join(", ") ~ ")" if marks else "false" -%}
  {%- if ocsf_class -%}
    {%- set own = "select *, null::varchar as _batch, null::varchar as _source_object, null::bigint as _source_row from (" ~ sql ~ "\n) where " ~ wanted -%}
    {%- set described = lake_described(own) -%}
    {%- set rows = "select * exclude (_batch, _source_object, _source_row) from (" ~ lake_events(lake_plan(ocsf_class, described), own, enrich=false) ~ "\n)" -%}
  {%- else -%}
    {%- set described = "" -%}
    {%- set rows = "select *, strftime(_event_at, '%Y-%m-%d') as date, strftime(_event_at, '%H') as hour from (" ~ sql ~ "\n) where " ~ wanted -%}
  {%- endif -%}
  {{ return([described, rows]) }}
{%- endmacro %}

{% macro lake_mart_select(node, sql) -%}
  {#- SELECT over a mart, typed also when it has no file yet. -#}
  {{ return(lake_call("hw_mart", [node.name, node.config.get("meta", {}).get("ocsf_class", ""), "select * from (" ~ sql ~ "\n) where false"])) }}
{%- endmacro %}

{% macro lake_mart_content(staged, node) -%}
  {#- hour → digest of the distinct values of the columns that the mart's readers depend on; empty where it declares none. -#}
  {%- set digests, columns = {}, node.config.get("meta", {}).get("content", []) -%}
  {%- if columns -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}{%- do parts.append("coalesce(" ~ column ~ "::varchar, chr(0))") -%}{%- endfor -%}
    {%- set found = run_query(
          "select date || 'T' || hour, sum(digest)::varchar from (select distinct date, hour, md5_number_lower(concat_ws(chr(31), "
          ~ parts | join(", ") ~ "))::hugeint as digest from " ~ staged ~ ") group by 1") -%}
    {%- for row in found.rows -%}{%- do digests.update({row[0]: row[1]}) -%}{%- endfor -%}
  {%- endif -%}
  {{ return(digests) }}
{%- endmacro %}
