{#- The materialization of tables that live in the lake, one file per event hour and source.

    A model of silver is named <table>__<source>. Its SQL gives the rows of all hours of the run, with the pipeline's
    columns (_event_at, _event_key, …). Rows are conformed to the table's declared columns, written to a staging folder,
    held against the OCSF rules, and then published hour by hour with a receipt; hours without rows become empty.
    A model of gold, a mart, has no source: see marts.sql. -#}

{% materialization lake_partition, adapter="duckdb" %}
  {%- set table, source = (model.name ~ "__").split("__")[:2] -%}
  {%- set ocsf_class = model.config.get("meta", {}).get("ocsf_class", "") if not source else table -%}
  {%- set target = this.incorporate(type="view") -%}
  {{ run_hooks(pre_hooks) }}

  {%- if source and lake_call("hw_searches", [""]) -%}
    {%- do lake_search_rows(table, source, compiled_code) -%}
    {% call statement("main") %}select 0{% endcall %}
    {{ return({"relations": [target]}) }}
  {%- endif -%}
  {%- set compiled_code = lake_call("hw_reads", [model.name, compiled_code]) if source else compiled_code -%}
  {%- set folder = lake_call("hw_stage", [model.name]) -%}
  {%- set described, rows, mapped = "", "", none -%}
  {%- if not source -%}
    {%- set described, rows = lake_mart_rows(model.name, ocsf_class, compiled_code) -%}
  {%- elif table == "dispositions" -%}
    {%- set rows = lake_outcome_rows(source, compiled_code) -%}
  {%- elif lake_call("hw_routed", [model.name]) -%}
    {%- set described = lake_described(compiled_code) -%}
    {%- set made = lake_plan(table, described) -%}
    {%- set mapped = lake_mapped_rows(compiled_code, made) -%}
    {%- set rows = lake_events(made, compiled_code) if mapped else "" -%}
  {%- else -%}{#- nothing is routed to the class: to plan the mapping would take most of the time of a quiet hour -#}
    {%- set mapped = {} -%}
  {%- endif -%}
  {%- set how = fromjson(lake_call("hw_parts", [model.name, tojson(mapped or {})])) if rows else {"parts": []} -%}
  {%- set parts = how.parts -%}
  {%- if how.held -%}
    {#- Rows are written, checked and indexed: where they are few they are held, so that no file is read again. -#}
    {%- do lake_execute("create or replace temp table " ~ how.held ~ " as " ~ rows) -%}
    {%- set rows = "from " ~ how.held -%}
  {%- endif -%}
  {%- set whole = "read_parquet('" ~ (folder ~ "/unsorted.parquet") | replace("'", "''") ~ "')" -%}
  {% call statement("main") -%}
    {%- if not rows or (parts and how.held) -%}
    select 0
    {%- elif parts -%}
    copy ({{ rows }}) to '{{ (folder ~ "/unsorted.parquet") | replace("'", "''") }}' (
      format parquet, compression lz4, row_group_size 20480, string_dictionary_page_size_limit 65536
    )
    {%- elif mapped and mapped | length == 1 -%}
    {{ lake_copy_hour(rows, model.name, mapped | first) }}
    {%- else -%}
    {{ lake_copy(rows, folder) }}
    {%- endif -%}
  {%- endcall %}
  {%- for part in parts -%}
    {%- do lake_execute(lake_copy("from " ~ (how.held or whole) ~ " where " ~ part, folder)) -%}
  {%- endfor -%}

  {%- do lake_call("hw_publish", [lake_checked(table, source, ocsf_class, described, mapped)]) -%}
  {%- if how.held -%}{%- do lake_execute("drop table " ~ how.held) -%}{%- endif -%}

  {%- if lake_is_read(model) -%}
    {%- set select = lake_table_select(model.name) if source else lake_mart_select(model, compiled_code) -%}
    {%- do lake_execute("create or replace view " ~ target ~ " as " ~ select) -%}
  {%- endif -%}
  {{ run_hooks(post_hooks) }}
  {%- do adapter.commit() -%}
  {{ return({"relations": [target]}) }}
{% endmaterialization %}

{% macro lake_checked(table, source, ocsf_class, described, mapped) -%}
  {#- Checks what was staged and writes its indexes; returns what `hw_publish` wants to know of it. -#}
  {%- set check = fromjson(lake_call("hw_check", [model.name, ocsf_class, described])) -%}
  {%- set counts, invalid, found, content, repaired = {}, {}, {}, {}, {} -%}
  {%- if check and table == "dispositions" -%}
    {%- set counts = lake_disposition_counts(check.staged) -%}
  {%- elif check and ocsf_class -%}
    {%- set found = lake_rule_breaks(check) -%}
    {%- set invalid = found -%}
    {%- set broken = found | list -%}
    {%- if broken -%}
      {%- set asked = {"hours": broken, "table": ocsf_class, "described": described} -%}
      {%- set repaired = fromjson(lake_call("hw_repair", [model.name, tojson(asked)])) -%}
      {%- set check = fromjson(lake_call("hw_check", [model.name, ocsf_class, described])) -%}
      {%- set invalid = lake_rule_breaks(check) -%}
    {%- endif -%}
    {%- if check.pending_sql -%}
      {%- set counts = fromjson(run_query(check.pending_sql).columns[0].values()[0]) -%}
    {%- endif -%}
    {%- for hour, rows in repaired.items() -%}
      {%- do counts.setdefault(hour, {}).update({"repaired": rows}) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if check and not source -%}{%- set content = lake_mart_content(check.staged, model) -%}{%- endif -%}
  {%- for statement in check.index or [] -%}{%- do lake_execute(statement) -%}{%- endfor -%}
  {{ return(tojson({
        "model": model.name, "table": table, "source": source, "counts": counts, "invalid": invalid, "found": found,
        "content": content, "mapped": mapped})) }}
{%- endmacro %}

{% macro lake_mapped_rows(sql, made) -%}
  {#- hour → rows that the mapping gives, with what is asked about them looked up (lake/ocsf/context/statements.py). As
      many must be written: context never changes their number. A mapping without rows is not run further, which spares
      most models most of their time. -#}
  {%- do lake_execute(lake_context_rows(sql, made)) -%}
  {%- set counts = {} -%}
  {%- set found = run_query("select strftime(event_hour, '%Y-%m-%dT%H'), sum(events) from context_rows group by 1") -%}
  {%- for row in found.rows -%}
    {%- do counts.update({row[0]: row[1] | int}) -%}
  {%- endfor -%}
  {%- if counts and made.found -%}{%- do lake_execute(made.found) -%}{%- endif -%}
  {{ return(counts) }}
{%- endmacro %}

{% macro lake_context_rows(sql, made) -%}
create or replace temp table context_rows as
with mapped as (
{{ sql }}
),
{{ made.steps }}
{{ made.rows }}
{%- endmacro %}

{% macro lake_outcome_rows(source, sql) -%}
  {{ lake_by_hour("(from (" ~ sql ~ "\n) " ~ lake_call("hw_outcomes", [source]) ~ ")") }}
{%- endmacro %}

{% macro lake_search_rows(table, source, sql) -%}
  {#- Looks for the records that a model fails over: all that is done with its rows is tried over parts of them. -#}
  {%- if table == "dispositions" -%}
    {%- do lake_search([lake_tried(lake_outcome_rows(source, sql))]) -%}
  {%- else -%}
    {%- set folder, described = lake_call("hw_stage", [model.name]), lake_described(sql) -%}
    {%- set made = lake_plan(table, described) -%}
    {%- set written = lake_copy(lake_events(made, sql), folder) -%}
    {%- do lake_search([lake_context_rows(sql, made), made.found, written], table, described) -%}
  {%- endif -%}
{%- endmacro %}

{% macro lake_tried(rows) -%}
create or replace temp table tried_rows as {{ rows }}
{%- endmacro %}

{% macro lake_search(statements, table="", described="") -%}
  {%- set asked = {"statements": statements | select | list, "table": table, "described": described} -%}
  {%- do lake_call("hw_search", [model.name, tojson(asked)]) -%}
{%- endmacro %}

{% macro lake_by_hour(rows) -%}
  select *, strftime(_event_at, '%Y-%m-%d') as date, strftime(_event_at, '%H') as hour from {{ rows }}
{%- endmacro %}

{% macro lake_copy(rows, folder) -%}
  copy ({{ rows }}) to '{{ folder | replace("'", "''") }}' (
    {{ lake_file_options() }}, partition_by (date, hour), filename_pattern 'part', overwrite_or_ignore
  )
{%- endmacro %}

{% macro lake_copy_hour(rows, model_name, hour) -%}
  {#- The same where all rows are of one hour: parting them by hour would take a quarter more CPU. -#}
  {%- set folder = lake_call("hw_stage", [model_name ~ "/date=" ~ hour[:10] ~ "/hour=" ~ hour[11:]]) -%}
  copy (select * exclude (date, hour) from ({{ rows }})) to '{{ (folder ~ "/part.parquet") | replace("'", "''") }}' (
    {{ lake_file_options() }}
  )
{%- endmacro %}

{% macro lake_file_options() -%}
  {#- DuckDB reserves a page for the dictionary of each column, of 1 MiB if nothing is said. -#}
  format parquet, compression zstd, compression_level 1, {{ lake_call("hw_parquet", [""]) }},
    string_dictionary_page_size_limit 65536
{%- endmacro %}

{% macro lake_is_read(node) -%}
  {#- Whether anything selected reads this model, itself or by an ephemeral one: over years of hours, a view that nobody
      reads takes seconds. -#}
  {%- for reader in graph.nodes.values() if node.unique_id in reader.depends_on.get("nodes", []) -%}
    {%- if reader.unique_id in selected_resources
          or (reader.config.materialized == "ephemeral" and lake_is_read(reader)) -%}
      {{ return(true) }}
    {%- endif -%}
  {%- endfor -%}
  {{ return(false) }}
{%- endmacro %}

{% macro lake_carries_record(described) -%}
  {{ return('["_raw", ' in described and "record VARCHAR" in described) }}
{%- endmacro %}

{% macro lake_keep(relation) -%}
  {#- Computes a view once for the whole run and lets it read the result, one folder per class: a mapping then reads the
      events of its class instead of parsing every bronze row of its source again. -#}
  {%- set described = lake_described("select * from " ~ relation) -%}
  {%- set classes = [] -%}
  {%- for row in run_query("select class_uid, count(*) from " ~ relation ~ " group by 1").rows -%}
    {%- do classes.append([row[0] | int if row[0] is not none else none, row[1] | int]) -%}
  {%- endfor -%}
  {%- set how = fromjson(lake_call("hw_keeps", [relation.identifier, described, tojson(classes)])) -%}
  {%- if how.file -%}{%- do lake_keep_reads(model, how, []) -%}{%- endif -%}
  {%- set folder = lake_call("hw_stage", [relation.identifier]) | replace("'", "''") -%}
  {#- `metadata` carries the record: it is written once -#}
  {%- set rows = "select * exclude (_raw) from " if lake_carries_record(described) else "select * from " -%}
  {%- set rows = rows ~ relation -%}
  {%- if how.whole -%}{#- its mapping computes them, with the columns that it asks for -#}
    {%- set rows = rows ~ " where class_uid is distinct from " ~ how.whole -%}
  {%- endif -%}
  {%- do lake_execute("copy (" ~ rows ~ ") to '" ~ folder ~ how.file ~ "' (" ~ how.options ~ ")") -%}
  {%- set select = lake_call("hw_kept", [relation.identifier, described]) -%}
  {%- if how.whole -%}
    {%- set whole = api.Relation.create(schema=relation.schema, identifier=relation.identifier ~ "__whole") -%}
    {%- do lake_execute("drop view if exists " ~ whole) -%}
    {%- do lake_execute("alter view " ~ relation ~ ' rename to "' ~ whole.identifier ~ '"') -%}
  {%- endif -%}
  {%- do lake_execute("create or replace view " ~ relation ~ " as " ~ select) -%}
{%- endmacro %}

{% macro lake_keep_reads(node, how, kept) -%}
  {#- Writes what a view reads, upstreams first, a file each: the vectors of one step are then held at a time. -#}
  {%- for unique_id in node.depends_on.get("nodes", []) if unique_id not in kept -%}
    {%- set read = graph.sources.get(unique_id) or graph.nodes[unique_id] -%}
    {%- if read.resource_type != "seed" and not lake_is_filed(read) -%}
      {%- do kept.append(unique_id) -%}
      {%- do lake_keep_reads(read, how, kept) if read.resource_type == "model" -%}
      {%- set view = api.Relation.create(schema=read.schema, identifier=read.get("alias") or read.identifier) -%}
      {%- set described = lake_described("select * from " ~ view) -%}
      {%- set name = unique_id.split(".")[0] ~ "." ~ read.name -%}
      {%- set file = (lake_call("hw_stage", [name]) | replace("'", "''")) ~ how.file -%}
      {%- do lake_execute("copy (from " ~ view ~ ") to '" ~ file ~ "' (" ~ how.options ~ ")") -%}
      {%- do lake_execute("create or replace view " ~ view ~ " as " ~ lake_call("hw_kept", [name, described])) -%}
    {%- endif -%}
  {%- endfor -%}
{%- endmacro %}
