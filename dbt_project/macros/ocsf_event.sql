{#- From what a mapping gives to a whole OCSF event. A mapping gives the attributes it fills and nothing else. -#}

{% macro ocsf_metadata(vendor_name, product_name, event_code="null", log_name="null", original_time="null", log_provider="null", correlation_uid="null", tenant_uid="null", log_level="null", feature_name="null", labels="null::varchar[]", version="null", sequence="null::integer") -%}
  {#- The `metadata` object of a mapping. Arguments are SQL expressions; vendor and product are plain names.
      version, profiles, uid (the event key) and logged_time (arrival) are filled in for every event. -#}
  {'product': {'name': '{{ product_name }}', 'vendor_name': '{{ vendor_name }}', 'version': {{ version }}::varchar, 'feature': {'name': {{ feature_name }}::varchar}},
   'event_code': {{ event_code }}::varchar, 'log_name': {{ log_name }}::varchar, 'log_provider': {{ log_provider }}::varchar,
   'log_level': {{ log_level }}::varchar, 'original_time': {{ original_time }}::varchar, 'correlation_uid': {{ correlation_uid }}::varchar,
   'tenant_uid': {{ tenant_uid }}::varchar, 'labels': {{ labels }}, 'sequence': {{ sequence }}}
{%- endmacro %}

{% macro lake_conformed(table, sql) -%}
  {#- The SELECT that a lake_partition model really writes: conformed, completed, enriched, with its partition. -#}
  {%- set type = ocsf_type(table) -%}
  {%- set described = [] -%}
  {%- for row in run_query("describe (" ~ sql ~ "\n)").rows -%}{%- do described.append([row[0], row[1]]) -%}{%- endfor -%}
  {%- set select_list = lake_call("hw_conform", [table, tojson(described), tojson(type.columns)]) -%}
  {%- set given = described | map("first") | list -%}
with mapped as (
{{ sql }}
),
conformed as (
  select
  {{ select_list }},
  mapped._event_key, mapped._event_at, mapped._arrived_at, mapped._batch, mapped._source_object, mapped._source_row
  from mapped
),
completed as (
  select * replace (
  {{ ocsf_completions(table, type, given) | join(",\n  ") }}
  )
  from conformed
),
profiled as (
  select * replace (
    {{ ocsf_whole_metadata(type) }} as metadata
  )
  from completed
),
enriched as (
{{ enrich_endpoints("profiled", type.columns) }}
)
select * exclude (_event_key, _event_at, _arrived_at),
  strftime(_event_at, '%Y-%m-%d') as date, strftime(_event_at, '%H') as hour
from enriched
{%- endmacro %}

{% macro ocsf_completions(table, type, given) -%}
  {#- Columns that follow from others: constants of the class, type_uid, the event time, and captions of ids. -#}
  {%- set activity = "coalesce(activity_id, 0)" -%}
  {%- set made = [
    "epoch_ms(_event_at) as time",
    "_event_at as time_dt",
    activity ~ " as activity_id",
    "coalesce(activity_name, " ~ ocsf_caption(table, "activity_id", activity) ~ ") as activity_name",
    type.category_uid ~ " as category_uid",
    "'" ~ type.category_name ~ "' as category_name",
    type.uid ~ " as class_uid",
    "'" ~ type.caption ~ "' as class_name",
    "(" ~ type.uid ~ "::bigint * 100 + " ~ activity ~ ") as type_uid",
    "'" ~ type.caption ~ ": ' || coalesce(" ~ ocsf_caption(table, "activity_id", activity) ~ ", 'Other') as type_name",
    "coalesce(severity_id, 1) as severity_id",
    ] -%}
  {%- set names = type.columns | map("first") | list -%}
  {%- for name in names -%}
    {%- if name.endswith("_id") and name != "activity_id" and (name[:-3] in names) -%}
      {%- set caption = name[:-3] -%}
      {%- set id = "coalesce(severity_id, 1)" if name == "severity_id" else name -%}
      {%- if name in given or name == "severity_id" -%}
        {%- do made.append("coalesce(" ~ caption ~ ", " ~ ocsf_caption(table, name, id) ~ ") as " ~ caption) -%}
      {%- endif -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(made) }}
{%- endmacro %}

{% macro ocsf_whole_metadata(type) -%}
  {#- `metadata` with what is the same for every event; written out, since struct_update is DuckDB's alone. -#}
  {%- set same = {"version": "'" ~ type.version ~ "'", "uid": "_event_key", "logged_time": "epoch_ms(_arrived_at)",
                  "profiles": ocsf_row_profiles(type)} -%}
  {%- set fields, parts = [], [] -%}
  {%- do struct_fields((type.columns | selectattr(0, "equalto", "metadata") | first)[1], fields) -%}
  {%- for name, _ in fields -%}
    {%- do parts.append('"' ~ name ~ '" := ' ~ same.get(name, 'metadata."' ~ name ~ '"')) -%}
  {%- endfor -%}
  struct_pack({{ parts | join(", ") }})
{%- endmacro %}

{% macro ocsf_row_profiles(type) -%}
  {#- The profiles whose attributes a row fills; `datetime` always, for time_dt. -#}
  {%- set filled = ["['datetime']"] -%}
  {%- for profile, condition in type.profiles_filled.items() if profile != "datetime" -%}
    {%- do filled.append("case when " ~ condition ~ " then ['" ~ profile ~ "'] else [] end") -%}
  {%- endfor -%}
  {{ return("list_sort(" ~ filled | join(" || ") ~ ")") }}
{%- endmacro %}

{% macro ocsf_type(class_name) -%}
  {#- One class of `ocsf_types()`, without making the others. -#}
  {{ return(context["ocsf_type__" ~ class_name]()) }}
{%- endmacro %}

{% macro lake_rule_breaks(table, staged) -%}
  {#- hour → rule → [rows, metadata.uid of one]; empty when every row keeps every rule. -#}
  {%- set rules = ocsf_rules(table) -%}
  {%- set any_broken = rules | map(attribute="sql") | join("\n or ") -%}
  {%- set broken = "(select * from " ~ staged ~ " where " ~ any_broken ~ ")" -%}
  {%- set invalid = {} -%}
  {%- if run_query("select count(*) from " ~ broken).columns[0].values()[0] > 0 -%}
    {%- for rule in rules -%}
      {%- set found = run_query("select date || 'T' || hour, count(*), any_value(metadata.uid) from " ~ broken ~ " where " ~ rule.sql ~ " group by 1") -%}
      {%- for row in found.rows -%}
        {%- do invalid.setdefault(row[0], {}).update({rule.name: [row[1] | int, row[2]]}) -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(invalid) }}
{%- endmacro %}
