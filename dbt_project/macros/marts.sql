{#- Marts: models of gold, one file per event hour, made of silver and of other marts.

    The SQL of a mart gives `_event_at` (TIMESTAMP, UTC), which decides the hour of a row; rows of hours that the run
    does not build are cut. It may see more than the hours of the run: those that `config.meta.reads` says, of all
    hours of the run together. So it bounds by time what it looks back to (`between event.time_dt - interval 24 hours
    and …`).
    With `config.meta.ocsf_class` it gives `_event_key`, `_event_at` and `_arrived_at` as a mapping does. -#}

{% macro lake_mart_rows(mart, ocsf_class, sql) -%}
  {#- [columns as JSON, the SELECT that is written]. -#}
  {%- set wanted = "(" ~ sql ~ "\n) where " ~ lake_call("hw_wanted", [mart]) -%}
  {%- if not ocsf_class -%}
    {{ return(["", lake_by_hour(wanted)]) }}
  {%- endif -%}
  {%- set own = "select *, null::varchar as _batch, null::varchar as _source_object, null::bigint as _source_row from "
        ~ wanted -%}
  {%- set described = lake_described(own) -%}
  {%- set events = lake_events(lake_plan(ocsf_class, described), own, enrich=false) -%}
  {{ return([described, "select * exclude (_batch, _source_object, _source_row) from (" ~ events ~ "\n)"]) }}
{%- endmacro %}

{% macro lake_mart_select(node, sql) -%}
  {#- SELECT over a mart, typed also when it has no file yet. -#}
  {%- set ocsf_class = node.config.get("meta", {}).get("ocsf_class", "") -%}
  {{ return(lake_call("hw_mart", [node.name, ocsf_class, "select * from (" ~ sql ~ "\n) where false"])) }}
{%- endmacro %}

{% macro lake_mart_content(staged, node) -%}
  {#- hour → digest of the distinct values of the columns that the mart's readers depend on; empty where it declares
      none. -#}
  {%- set digests, columns = {}, node.config.get("meta", {}).get("content", []) -%}
  {%- if columns -%}
    {%- set texts = "coalesce(" ~ columns | join("::varchar, chr(0)), coalesce(") ~ "::varchar, chr(0))" -%}
    {%- set found = run_query(
          "select date || 'T' || hour, sum(digest)::varchar from (select distinct date, hour,"
          ~ " md5_number_lower(concat_ws(chr(31), " ~ texts ~ "))::hugeint as digest from "
          ~ staged ~ ") group by 1") -%}
    {%- for row in found.rows -%}{%- do digests.update({row[0]: row[1]}) -%}{%- endfor -%}
  {%- endif -%}
  {{ return(digests) }}
{%- endmacro %}
