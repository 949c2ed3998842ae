{#- From a staging view to the events that mappings see: routed to a class, without duplicates and filtered rows. -#}

{% macro routed(relation, log) -%}
  {#- Adds class_uid, activity_id (NULL where the route leaves it to the mapping). A route is an event type of the seed
      `ocsf_routing`, whole or with `*` at its end; the longest one wins; without a route an event is a Base Event. -#}
(
  with kinds as (select distinct event_type from {{ relation }}),
  routes as (
    select kinds.event_type,
      arg_max(seed.class_uid, length(seed.event_type)) as class_uid,
      arg_max(coalesce(seed.activity_id, -1), length(seed.event_type)) as activity_id
    from kinds
    join {{ ref("ocsf_routing") }} as seed
      on seed.source = '{{ log }}'
      and (seed.event_type = kinds.event_type
        or (seed.event_type like '%*' and starts_with(kinds.event_type, left(seed.event_type, length(seed.event_type) - 1))))
    group by kinds.event_type
  )
  select event.*, coalesce(routes.class_uid, 0) as class_uid, nullif(routes.activity_id, -1) as activity_id
  from {{ relation }} as event
  left join routes on routes.event_type = event.event_type
)
{%- endmacro %}

{% macro dispositions(log, staging) -%}
  {#- One row per landed event: published, duplicate or filtered. Two rows of one key and one content are duplicates;
      the one that arrived first is kept. One key with different contents is a collision: both are kept. -#}
with routed as (select * from {{ routed(staging, log) }}),
events as (
  select _event_key, _event_at, _batch, _source_object, _source_row, _arrived_at, _content_hash, event_type, class_uid,
    {{ filter_name("routed", log) }} as filter
  from routed
),
repeated as (
  select _event_key, date_trunc('hour', _event_at) as event_hour
  from events
  group by all
  having count(*) > 1
),
identified as (
  select events._batch, events._source_object, events._source_row, events._arrived_at, repeated._event_key, repeated.event_hour,
    {{ content_identity("bronze_row", log) }} as content
  from events
  join repeated on repeated._event_key = events._event_key and repeated.event_hour = date_trunc('hour', events._event_at)
  join {{ source("bronze", log) }} as bronze_row
    on bronze_row._batch = events._batch and bronze_row._source_object = events._source_object
    and bronze_row._source_row = events._source_row and bronze_row._event_key = events._event_key
),
ranked as (
  select *,
    row_number() over (partition by _event_key, event_hour, content order by _arrived_at, _batch, _source_object, _source_row) as copy,
    min(content) over (partition by _event_key, event_hour) <> max(content) over (partition by _event_key, event_hour) as collision
  from identified
)
select events._event_key, events._event_at, events._batch, events._source_object, events._source_row, events.event_type, events.class_uid,
  case when ranked.copy > 1 then 'duplicate' when events.filter is not null then 'filtered' else 'published' end as disposition,
  case when coalesce(ranked.copy, 1) = 1 then events.filter end as filter,
  coalesce(ranked.collision and ranked.copy = 1, false) as collision
from events
left join ranked
  on ranked._batch = events._batch and ranked._source_object = events._source_object and ranked._source_row = events._source_row
{%- endmacro %}

{% macro published_events(log, staging, dispositions) -%}
  {#- What a source's mappings select from. -#}
select event.* exclude (activity_id), event.activity_id as routed_activity_id
from {{ routed(staging, log) }} as event
anti join (
  select _batch, _source_object, _source_row from {{ dispositions }} where disposition <> 'published'
) as left_out
  on left_out._batch = event._batch and left_out._source_object = event._source_object and left_out._source_row = event._source_row
{%- endmacro %}

{% macro content_identity(row, log) -%}
  {#- What must be equal for two records of one key to be the same event: the JSON without white space and without
      the fields that the contract calls volatile; of a text format, the line. -#}
  {%- set volatile = source_volatile_fields(log) -%}
  {%- if source_meta(log, "record_format", "json") != "json" -%}
  md5({{ row }}._raw)
  {%- elif volatile -%}
  {%- set patch = {} -%}{%- for name in volatile -%}{%- do patch.update({name: none}) -%}{%- endfor -%}
  md5(json_merge_patch({{ row }}._raw, '{{ tojson(patch) | replace("'", "''") }}')::varchar)
  {%- else -%}
  md5(json({{ row }}._raw)::varchar)
  {%- endif -%}
{%- endmacro %}

{% macro source_volatile_fields(log) -%}
  {{ return(source_meta(log, "volatile", [])) }}
{%- endmacro %}

{% macro source_meta(log, name, otherwise) -%}
  {#- What the contract of a source says of itself under a name. -#}
  {%- if execute -%}
    {%- for node in graph.sources.values() if node.name == log -%}
      {{ return(node.config.get("meta", {}).get(name) or node.meta.get(name) or otherwise) }}
    {%- endfor -%}
  {%- endif -%}
  {{ return(otherwise) }}
{%- endmacro %}

{% macro filter_name(relation, log) -%}
  {#- The name of the declared filter that drops an event, or NULL. Filters stand in the config of the mapping whose
      events they drop: meta.filters = [{name, drop, keep}], SQL conditions on the staging columns. -#}
  {%- set cases = [] -%}
  {%- if execute -%}
    {%- for node in graph.nodes.values() if node.resource_type == "model" and node.name.endswith("__" ~ log) -%}
      {%- set table = node.name.split("__")[0] -%}
      {%- for each in node.config.get("meta", {}).get("filters", []) -%}
        {%- set condition = "class_uid = " ~ ocsf_type(table).uid ~ " and (" ~ each.drop ~ ")" -%}
        {%- if each.keep -%}{%- set condition = condition ~ " and not coalesce(" ~ each.keep ~ ", false)" -%}{%- endif -%}
        {%- do cases.append("when " ~ condition ~ " then '" ~ each.name ~ "'") -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endif -%}
  {{ "case " ~ cases | join(" ") ~ " end" if cases else "null::varchar" }}
{%- endmacro %}
