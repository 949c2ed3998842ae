{#- What an events model (models/events) needs to route its source's events and to find copies among them. -#}

{% macro routes(source, staging) -%}
  {#- Rows (event_type, class_uid, activity_id): the route of each event type that occurs, from the seed `ocsf_routing`.
      A route names an event type, or its beginning and `*`; the longest one wins. activity_id is NULL where the mapping
      decides. -#}
(
  select kinds.event_type,
    arg_max(seed.class_uid, length(seed.event_type)) as class_uid,
    nullif(arg_max(coalesce(seed.activity_id, -1), length(seed.event_type)), -1) as activity_id
  from (select distinct event_type from {{ staging }}) as kinds
  join {{ ref("ocsf_routing") }} as seed
    on seed.source = '{{ source }}'
    and (seed.event_type = kinds.event_type
      or (seed.event_type like '%*'
        and starts_with(kinds.event_type, left(seed.event_type, length(seed.event_type) - 1))))
  group by kinds.event_type
)
{%- endmacro %}

{% macro repeated_keys(log, staging) -%}
  {#- Rows (_batch, _source_object, _source_row, number, is_collision): the events whose key occurs more than once in
      their hour. `number` counts those of the same content in the order of their arrival. `is_collision`: the key has
      several contents. Only what is repeated is read whole. -#}
(
  with repeated as (
    select _event_key, date_trunc('hour', _event_at) as event_hour from {{ staging }} group by all having count(*) > 1
  ),
  identified as (
    select event._batch, event._source_object, event._source_row, event._arrived_at,
      repeated._event_key, repeated.event_hour,
      {{ content_identity("bronze_row", log) }} as content
    from {{ staging }} as event
    join repeated
      on repeated._event_key = event._event_key and repeated.event_hour = date_trunc('hour', event._event_at)
    join {{ source("bronze", log) }} as bronze_row
      on bronze_row._batch = event._batch and bronze_row._source_object = event._source_object
      and bronze_row._source_row = event._source_row and bronze_row._event_key = event._event_key
  )
  select _batch, _source_object, _source_row,
    row_number() over (
      partition by _event_key, event_hour, content order by _arrived_at, _batch, _source_object, _source_row
    ) as number,
    min(content) over key_of_hour <> max(content) over key_of_hour as is_collision
  from identified
  window key_of_hour as (partition by _event_key, event_hour)
)
{%- endmacro %}

{% macro content_identity(row, log) -%}
  {#- What must be equal for two records of one key to be the same event: the JSON without white space and without
      the fields that the contract calls volatile; of a text format, the line; so too of JSON behind words of a
      collector. -#}
  {%- set meta = source_meta(log) -%}
  {%- if meta.get("record_format", "json") != "json" -%}
  md5({{ row }}._raw)
  {%- elif meta.get("volatile") -%}
  {%- set patch = {} -%}{%- for name in meta.volatile -%}{%- do patch.update({name: none}) -%}{%- endfor -%}
  md5(case when json_valid({{ row }}._raw)
    then json_merge_patch({{ row }}._raw, '{{ tojson(patch) | replace("'", "''") }}')::varchar else {{ row }}._raw end)
  {%- else -%}
  md5(case when json_valid({{ row }}._raw) then json({{ row }}._raw)::varchar else {{ row }}._raw end)
  {%- endif -%}
{%- endmacro %}

{% macro source_meta(log) -%}
  {#- What the contract of a source says of itself. -#}
  {%- if execute -%}
    {%- for node in graph.get("sources", {}).values() if node.name == log -%}
      {{ return(node.config.get("meta") or node.meta) }}
    {%- endfor -%}
  {%- endif -%}
  {{ return({}) }}
{%- endmacro %}

{% macro record_text(log) -%}
  {#- The record as its values are looked for: JSON as it is; of a text format the line and its fields, each behind the
      separator of `lake/ocsf/values.py`. -#}
case
        when left(ltrim(_raw), 1) = '{' then _raw
        else concat(
            chr(31), _raw
            {%- for name, _ in bronze_types()[log] if not name.startswith("_") %}, chr(31), "{{ name }}"{% endfor %}
        )
    end
{%- endmacro %}

{% macro active_filters(source) -%}
  {#- One row, (active): the names of the filters of a source that the seed `event_filters` switches on. -#}
(
  select coalesce(list(switch.filter), []) as active
  from {{ ref("event_filters") }} as switch
  where switch.source = '{{ source }}' and switch.active
)
{%- endmacro %}
