{#- What a run needs before its first model: views over the bronze files of the hours to be built, reference tables,
    and for every model and seed that is not selected a stand-in, so that any selection can run on its own. -#}

{% macro lake_setup() -%}
  {%- if execute and flags.WHICH in ("run", "build", "test", "show") -%}
    {%- set schemas = ["create schema if not exists bronze", "create schema if not exists reference"] -%}
    {%- for node in graph.nodes.values() if node.resource_type in ("seed", "model") -%}
      {%- do schemas.append("create schema if not exists " ~ node.schema) -%}
    {%- endfor -%}
    {%- do lake_execute(schemas | unique | join(";\n")) -%}
    {%- set answer = fromjson(lake_call("hw_setup", [tojson({"bronze_types": bronze_types()})])) -%}
    {%- do lake_execute(answer.statements | join(";\n")) -%}
    {%- do lake_stand_ins() -%}
  {%- endif -%}
{%- endmacro %}

{% macro lake_call(function, texts) -%}
  {#- Calls a function of the lake plugin and returns its text; an error of the lake becomes dbt's error. -#}
  {%- set arguments = [] -%}
  {%- for text in texts -%}{%- do arguments.append("'" ~ (text | replace("'", "''")) ~ "'") -%}{%- endfor -%}
  {%- set answer = run_query("select " ~ function ~ "(" ~ arguments | join(", ") ~ ")").columns[0].values()[0] -%}
  {%- if answer.startswith("!") -%}{{ exceptions.raise_compiler_error(answer[1:]) }}{%- endif -%}
  {{ return(answer) }}
{%- endmacro %}

{% macro lake_execute(sql) -%}
  {#- Runs statements whose results nobody reads; `run_query` would guess the types of their columns. dbt takes 5 ms for
      each call, so what belongs together is one. -#}
  {%- do adapter.execute(sql, fetch=false) -%}
{%- endmacro %}

{% macro lake_stand_ins() -%}
  {#- Everything that what is selected reads, so that any selection can run on its own: seeds from their files, views
      from their own SQL, lake tables as views over the lake. What is selected comes in its turn, and dbt itself puts an
      ephemeral model into the SQL of its readers: these need a stand-in only where another stand-in reads them. -#}
  {%- set nodes = {} -%}
  {%- for node in graph.nodes.values() if node.resource_type in ("seed", "model") -%}
    {%- do nodes.update({node.unique_id: node}) -%}
  {%- endfor -%}
  {%- set order, made = [], [] if flags.WHICH == "show" else selected_resources -%}
  {%- set read = lake_tested(nodes) if flags.WHICH == "test" else [] -%}
  {%- if flags.WHICH == "show" -%}{%- do read.extend(model.depends_on.get("nodes", [])) -%}{%- endif -%}
  {%- for unique_id in (read or made) if unique_id in nodes -%}
    {%- do lake_upstreams(unique_id, nodes, order) -%}
  {%- endfor -%}
  {%- set stand_ins = [] -%}
  {%- for unique_id in order | reverse -%}
    {%- set node = nodes[unique_id] -%}
    {%- if (unique_id not in made and node.config.materialized != "ephemeral")
          or (unique_id in read and node.resource_type == "model") -%}
      {%- do stand_ins.append(node) -%}
      {%- do read.extend(node.depends_on.get("nodes", [])) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for node in stand_ins | reverse -%}
    {%- do lake_execute("select hw_stand_in('" ~ node.unique_id ~ "')") -%}{#- whose failure it is, should it fail -#}
    {%- do lake_stand_in(node) -%}
  {%- endfor -%}
  {%- do lake_execute("select hw_stand_in('')") -%}
{%- endmacro %}

{% macro lake_tested(nodes) -%}
  {#- What the selected tests read: of a unit test all that its model reads, for it asks that for the types of
      columns. -#}
  {%- set read = [] -%}
  {%- for unique_id in selected_resources -%}
    {%- if unique_id in graph.nodes -%}
      {%- do read.extend(graph.nodes[unique_id].depends_on.get("nodes", [])) -%}
    {%- endif -%}
    {%- for node in nodes.values() if unique_id.startswith("unit_test.") and node.name == unique_id.split(".")[2] -%}
      {%- do read.extend(node.depends_on.get("nodes", [])) -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(read) }}
{%- endmacro %}

{% macro lake_upstreams(unique_id, nodes, order) -%}
  {#- Puts what a node reads, directly or not, into `order`, upstreams first. The node itself comes last. What a table
      of the lake was made of is not read: its files are. -#}
  {%- if unique_id in selected_resources or not lake_is_filed(nodes[unique_id]) -%}
    {%- for upstream in nodes[unique_id].depends_on.get("nodes", []) if upstream in nodes and upstream not in order -%}
      {%- do lake_upstreams(upstream, nodes, order) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if unique_id not in order -%}{%- do order.append(unique_id) -%}{%- endif -%}
{%- endmacro %}

{% macro lake_is_filed(node) -%}
  {#- Whether a node stands in by its files alone. -#}
  {{ return(node.resource_type == "model" and node.config.materialized == "lake_partition" and "__" in node.name) }}
{%- endmacro %}

{% macro lake_stand_in(node) -%}
  {%- set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) -%}
  {%- if node.resource_type == "seed" -%}
    {%- set select = lake_call("hw_seed", [node.name]) -%}
  {%- elif lake_is_filed(node) -%}
    {%- set select = lake_table_select(node.name) -%}
  {%- elif node.config.materialized == "lake_partition" -%}
    {%- set select = lake_mart_select(node, render(node.raw_code)) -%}
  {%- else -%}
    {%- set select = render(node.raw_code) -%}
  {%- endif -%}
  {%- if lake_asks_types_only() or node.config.materialized == "ephemeral" -%}
    {%- set typed = api.Relation.create(database=node.database, schema="types_only", identifier=node.alias) -%}
    {%- do lake_execute("create schema if not exists types_only") -%}
    {%- do lake_execute("create or replace table " ~ typed ~ " as " ~ select ~ "\nwith no data") -%}
    {%- set select = "from " ~ typed -%}
  {%- endif -%}
  {%- do lake_execute("create or replace view " ~ relation ~ " as " ~ select) -%}
{%- endmacro %}

{% macro lake_asks_types_only() -%}
  {#- Unit tests bring their rows with them. Tables without rows then stand in: asking a view for its types reads the
      SQL of all that it stands on, again for every test. -#}
  {%- for unique_id in selected_resources if not unique_id.startswith("unit_test.") -%}{{ return(false) }}{%- endfor -%}
  {{ return(flags.WHICH == "test") }}
{%- endmacro %}

{% materialization view, adapter="duckdb" %}
  {#- dbt's own view, but one that replaces its stand-in. -#}
  {%- set target = this.incorporate(type="view") -%}
  {{ run_hooks(pre_hooks) }}
  {% call statement("main") %}create or replace view {{ target }} as ({{ compiled_code }}
  ){% endcall %}
  {%- if config.get("meta", {}).get("kept") -%}
    {%- if lake_call("hw_searches", [""]) -%}
      {%- do lake_search([lake_tried("(" ~ compiled_code ~ "\n)")]) -%}
    {%- else -%}
      {%- do lake_keep(target) -%}
    {%- endif -%}
  {%- endif -%}
  {%- set copied = lake_call("hw_try", [model.name]) -%}
  {%- if copied -%}{%- do lake_execute(copied | replace("{view}", target)) -%}{%- endif -%}
  {{ run_hooks(post_hooks) }}
  {%- do adapter.commit() -%}
  {{ return({"relations": [target]}) }}
{% endmaterialization %}

{% macro get_show_sql(compiled_code, sql_header, limit) -%}
  {#- dbt's own, but `dbt show` runs no hooks: what the model reads is made here. -#}
  {%- do lake_setup() -%}
  {{ sql_header or "" }}
  {{ get_limit_subquery_sql(compiled_code, limit) }}
{%- endmacro %}

{% macro ref() -%}
  {#- dbt's own `ref`, but where the SQL of other models is rendered: there dbt would ask for the dependencies of the
      hook, or of the model that is shown. -#}
  {%- if execute and model is defined and (model.resource_type == "operation" or flags.WHICH == "show") -%}
    {%- for node in graph.nodes.values() if node.name == varargs[-1] and node.resource_type in ("model", "seed") -%}
      {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) }}
    {%- endfor -%}
  {%- endif -%}
  {{ return(builtins.ref(*varargs, **kwargs)) }}
{%- endmacro %}
