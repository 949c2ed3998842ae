{#-
  Context: what the lake knows about the addresses, machines and accounts of an event, as it was at the event's time.
  A mapping writes nothing. `context_events` takes the rows of a model and gives the same rows, with

    - places of OCSF's own filled where the log gave nothing: location, autonomous_system, isp, names and owners of
      machines, what the directory says of accounts, `osint`, `observables`
    - `enrichments`: one element for each thing that was found, with provider, list version and time

  Each distinct combination of names that an object of the event bears (a subject: an endpoint, an account, a file with
  its hashes) is looked up once for each event hour. What is found comes back as one row for each combination, with
  lists of what holds from when to when, and each event takes from it what holds at its own time. So no join can change
  the number of rows, whatever the reference tables hold.

  `made` is the plan that `hw_events` gives: `asked` (lake/ocsf/asked.py), `held` (what the tables hold), `observed`,
  `types`. A table without rows is not in the plan and costs nothing.

  DuckDB's own, to be written differently for Spark: ASOF JOIN and UHUGEINT (geoip.sql), md5_number (observable_key.sql),
  `unnest` in a SELECT list (EXPLODE), list functions with lambdas (here: `context_valid`), max_by and `list(… order by …)`.
-#}


{#- SELECT of the rows of `relation` (a CTE of whole conformed rows with `_event_at`) with their context. -#}
{% macro context_events(relation, made) -%}
{%- set asked = made.asked -%}
{%- if not asked -%}
select * replace (
{{ context_filled(made) }}
) from {{ relation }} as event
{%- else -%}
select * exclude ({% for subject in asked %}context_{{ subject.number }}{{ ', ' if not loop.last }}{% endfor %}) replace (
{{ context_filled(made) }}
) from (
with
{{ context_asked(relation, made) }},
{{ context_found(made) }}
{%- for subject in asked %},
{{ context_of_subject(subject, made) }}
{%- endfor %}
select event.*
{%- for subject in asked %}, {{ context_at(subject, made) }} as context_{{ subject.number }}{% endfor %}
from {{ relation }} as event
{%- for subject in asked %}
left join found_{{ subject.number }} on found_{{ subject.number }}.event_hour = date_trunc('hour', event._event_at)
  {%- for column, sql in subject['keys'] %}
  and found_{{ subject.number }}.{{ column }} is not distinct from {{ sql }}
  {%- endfor %}
{%- endfor %}
) as event
{%- endif -%}
{%- endmacro %}


{#- CTEs `subject_<n>` (id, event_hour, keys: each combination once an hour) and `asked` (subject, id, event_hour, path,
    kind, value: one row for each observable of a combination). -#}
{% macro context_asked(relation, made) -%}
asked_rows as materialized (
  select date_trunc('hour', _event_at) as event_hour
  {%- for subject in made.asked %}{% for column, sql in subject['keys'] %},
    {{ sql }} as {{ column }}
  {%- endfor %}{% endfor %}
  from {{ relation }}
)
{%- for subject in made.asked %},
subject_{{ subject.number }} as materialized (
  select row_number() over () as id, * from (
    select distinct event_hour{% for column, sql in subject['keys'] %}, {{ column }}{% endfor %}
    from asked_rows
    where {% for column, sql in subject['keys'] %}{{ column }} is not null{{ ' or ' if not loop.last }}{% endfor %}
  )
)
{%- endfor %},
asked as materialized (
  select null::integer as subject, null::bigint as id, null::timestamp as event_hour, null::varchar as path,
    null::varchar as kind, null::varchar as value where false
  {%- for subject in made.asked %}{% for each in subject.asked %}
  union all select * from (
    select {{ subject.number }} as subject, id, event_hour, '{{ each.path }}' as path, '{{ each.kind }}' as kind,
      {{ 'unnest(' ~ each.column ~ ')' if each.is_list else each.column }} as value
    from subject_{{ subject.number }}
  ) where value is not null
  {%- endfor %}{% endfor %}
)
{%- endmacro %}


{#- CTEs from `asked` to `entry` (one row for each thing found) and `entity` (who a machine or an account is), both with
    subject and id. -#}
{% macro context_found(made) -%}
{%- set held = made.held -%}
{%- for table in held.entities -%}
{{ context_called(made.asked, table) }},
{% endfor -%}
{{ context_keys(held) }}
{%- if held.geoip %},
{{ context_places(made.asked, held.geoip) }}
{%- endif %}
{%- for table in held.observables %},
{{ context_listed(table, held.observables[table]) }}
{%- endfor %}
{%- for table in held.entities %},
{{ context_entities(table, held.prefixes[table]) }}
{%- endfor %},
entry as materialized (
  select null::integer as subject, null::bigint as id, null::timestamp as event_hour, null::timestamp as valid_from,
    null::timestamp as valid_to, 0 as position, null::varchar as name, null::varchar as type, null::varchar as value,
    null::varchar as provider, null::bigint as created_time, null::varchar as data, null::{{ context_reputation() }} as reputation where false
  {%- for table in held.geoip %}
  union all ({{ context_place_entries(table) }})
  {%- endfor %}
  {%- for table in held.entities %}
  union all ({{ context_entity_entries(table, made.asked) }})
  {%- endfor %}
  {%- for table in held.observables %}
  union all ({{ context_listed_entries(table) }})
  {%- endfor %}
  {%- if held.lookups %}
  union all ({{ lookup_hits('asked', held.lookups) }})
  {%- endif %}
),
entries as materialized (
  select subject, id, {{ context_lists('enrichment', context_type(made, 'enrichments')) }}
  from (
    select subject, id, event_hour, valid_from, valid_to, {{ context_enrichment() }} as enrichment,
      row(position, name, provider, value, data) as place
    from entry
  ) as found
  group by subject, id
)
{%- if 'indicators' in held.observables %},
osints as materialized (
  select subject, id, {{ context_lists('osint', context_type(made, 'osint')) }}
  from ({{ context_osint_entries() }}) as found
  group by subject, id
)
{%- endif %}
{%- endmacro %}


{#- CTEs `observable` (kind, value, key_high, key_low, and of addresses `geoip_key`): what is asked, each once. An IPv6
    address that carries an IPv4 address is asked about as both. -#}
{% macro context_keys(held) -%}
address_text as materialized (
  select value, {{ ip_hex('value') }} as hex from (
    select value from asked where kind = 'ip'
    {%- for table in held.entities %} union select value from {{ table }}_called where kind = 'ip'{% endfor %}
  )
),
address as materialized (
  select value, ('0x' || left(hex, 16))::ubigint as key_high, ('0x' || right(hex, 16))::ubigint as key_low,
    {{ geoip_address_key('hex') }} as geoip_key
  from address_text where hex is not null
),
network_address as materialized (
  select value, key_high, key_low from address
  union select value, (geoip_key >> 64)::ubigint, (geoip_key & 18446744073709551615::uhugeint)::ubigint from address
),
observable_text as materialized (
  select kind, value, {{ observable_text('kind', 'value') }} as text
  from (select distinct kind, value from asked where kind <> 'ip')
),
observable as materialized (
  select kind, value, text, {{ observable_high('kind', 'text') }} as key_high, {{ observable_low('kind', 'text') }} as key_low
  from observable_text where text is not null
)
{%- endmacro %}


{#- Aggregates over rows with event_hour, valid_from, valid_to, `place` (their order) and the struct `what`: `always`, what
    holds during the whole hour, and `sometimes`, what begins or ends within it. -#}
{% macro context_lists(what, type) -%}
{%- set whole = "valid_from <= event_hour and valid_to >= event_hour + interval 1 hour" -%}
(list({{ what }} order by place) filter ({{ whole }})){{ '::' ~ type if type }} as always,
  (list({'valid_from': valid_from, 'valid_to': valid_to, 'what': {{ what }}} order by place, valid_from) filter (not ({{ whole }})))
    {{- '::struct(valid_from timestamp, valid_to timestamp, what ' ~ type[:-2] ~ ')[]' if type }} as sometimes
{%- endmacro %}


{#- CTE `found_<n>`: one row for each combination of a subject that something was found for. -#}
{% macro context_of_subject(subject, made) -%}
{%- set n = subject.number -%}
{%- set joined = ["entries as e"] -%}
{%- if 'indicators' in made.held.observables -%}{%- do joined.append("osints as o") -%}{%- endif -%}
{%- if subject.called -%}{%- do joined.append(subject.called[0].table ~ "_known as k") -%}{%- endif -%}
found_{{ n }} as materialized (
  select s.event_hour
    {%- for column, sql in subject['keys'] %}, s.{{ column }}{% endfor %},
    e.always as enrichments, e.sometimes as later_enrichments
    {%- if 'indicators' in made.held.observables %}, o.always as osint, o.sometimes as later_osint{% endif %}
    {%- if subject.called %}, k.always as known, k.sometimes as later_known{% endif %}
    {%- for table in subject.places %}, {{ table }}{% endfor %}
  from subject_{{ n }} as s
  {%- for each in joined %}
  left join (select * from {{ each.split(' ')[0] }} where subject = {{ n }}) as {{ each[-1] }} on {{ each[-1] }}.id = s.id
  {%- endfor %}
  {%- for table in subject.places %}
  left join {{ table }}_hit as {{ table }} on {{ table }}.ip = s.{{ subject.place }} and {{ table }}.event_hour = s.event_hour
  {%- endfor %}
  where {% for each in joined %}{{ each[-1] }}.id is not null{{ ' or ' if not loop.last }}{% endfor %}
)
{%- endmacro %}


{#- What was found for a subject of an event, as one struct: what holds at the event's time. -#}
{% macro context_at(subject, made) -%}
{%- set found = "found_" ~ subject.number -%}
{'enrichments': {{ context_valid(found ~ '.enrichments', found ~ '.later_enrichments') }}
  {%- if 'indicators' in made.held.observables %}, 'osint': {{ context_valid(found ~ '.osint', found ~ '.later_osint') }}{% endif %}
  {%- if subject.called %}, 'known': ({{ context_valid(found ~ '.known', found ~ '.later_known') }})[1]{% endif %}
  {%- for table in subject.places %}, '{{ table }}': {{ found }}.{{ table }}{% endfor %}}
{%- endmacro %}

{% macro context_valid(always, sometimes) -%}
case when {{ sometimes }} is null then {{ always }} else list_concat({{ always }}, list_transform(list_filter(
  {{ sometimes }}, lambda each: each.valid_from <= event._event_at and each.valid_to > event._event_at), lambda each: each.what)) end
{%- endmacro %}


{#- A JSON object of SQL values without those that are NULL. -#}
{% macro context_json(fields) -%}
json_merge_patch('{}', to_json({
  {%- for name, value in fields.items() %}'{{ name }}': {{ value }}{{ ', ' if not loop.last }}{% endfor -%}
}))::varchar
{%- endmacro %}

{#- A TIMESTAMP (UTC) as text for JSON. -#}
{% macro context_time(column) -%}
strftime({{ column }}, '%Y-%m-%dT%H:%M:%SZ')
{%- endmacro %}

{#- The declared type of a column of the class. -#}
{% macro context_type(made, column) -%}
{%- for name, type, fields in made.types if name == column -%}{{ type }}{%- endfor -%}
{%- endmacro %}

{#- One element of `enrichments`, in the order in which the class declares its attributes. -#}
{% macro context_enrichment() -%}
{'name': name, 'value': value, 'type': type, 'provider': provider, 'created_time': created_time,
      'reputation': reputation, 'data': data}
{%- endmacro %}

{#- The type of `enrichments[].reputation`, which only lookup providers fill. -#}
{% macro context_reputation() -%}
struct(base_score double, score_id integer, score varchar, provider varchar)
{%- endmacro %}
