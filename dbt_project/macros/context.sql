{#-
  Context: what the lake knows about the addresses, machines and accounts of an event, as it was at the event's time.
  A mapping writes nothing. `context_events` takes the rows of a model and gives the same rows, with

    - places of OCSF's own filled where the log gave nothing: location, autonomous_system, isp, names and owners of
      machines, what the directory says of accounts, `osint`, `observables`
    - `enrichments`: one element for each thing that was found, with provider, list version and time

  Three steps:
    1. `context_rows_sql` reads of a model's rows only what is looked up: each distinct combination of names that an
       object of the event bears (a subject: an endpoint, an account, a file with its hashes) and how many events have it.
    2. `context_found_sql` looks each combination up once for each event hour. What is found becomes one row for each
       combination (`context_found_<n>`), with lists of what holds from when to when.
    3. `context_events` joins these few rows to the events while they are written; each event takes what holds at its
       own time. So no join can change the number of rows, whatever the reference tables hold.

  Reading the mapping's rows twice, first narrow, then whole, is cheaper than keeping them: 100,000 sign-ins took 0.1 s to
  read narrow, 1.1 s to write, and 1.0 s more to hold in memory in between (2 cores).

  `made` is the plan that `hw_events` gives: `asked` (lake/ocsf/context_plan.py), `held` (what the tables hold), `observed`,
  `types`. A table without rows is not in the plan and costs nothing. Temporary tables belong to the connection, of which
  each thread of dbt has its own.

  DuckDB's own, to be written differently for Spark: ASOF JOIN and UHUGEINT (geoip.sql), md5_number (observable_key.sql),
  `unnest` in a SELECT list (EXPLODE), list functions with lambdas (here: `context_valid`), `list(… order by …)`.
-#}


{#- 1. Statement that makes `context_rows`: event_hour, the keys of all subjects, and `events`, how many rows have them. -#}
{% macro context_rows_sql(sql, made) -%}
create or replace temp table context_rows as
with mapped as (
{{ sql }}
),
{{ made.steps }}
select date_trunc('hour', _event_at) as event_hour
{%- for subject in made.asked %}{% for column, key in subject['keys'] %}, {{ key }} as {{ column }}{% endfor %}{% endfor %},
  count(*) as events
from completed
group by all
{%- endmacro %}


{#- 2. Statements from `context_rows` to `context_found_<n>`. -#}
{% macro context_found_sql(made) -%}
{%- set asked, held = made.asked, made.held -%}
{%- if asked -%}
{%- for subject in asked %}
{{ context_table('subject_' ~ subject.number, context_subject(subject)) }}
{%- endfor %}
drop table context_rows;
{{ context_table('asked', context_asked(asked)) }}
{%- for table in held.entities %}
{{ context_table(table ~ '_called', context_called(asked, table)) }}
{%- endfor %}
{{ context_keys(held) }}
{%- if held.geoip %}
{{ context_places(asked, held.geoip) }}
{%- endif %}
{%- for table in held.observables %}
{{ context_listed(table, held.observables[table]) }}
{%- endfor %}
{%- for table in held.entities %}
{{ context_entities(table, held.prefixes[table]) }}
{%- endfor %}
{{ context_table('entries', context_entries(made)) }}
{%- if 'indicators' in held.observables %}
{{ context_table('osints', context_osints(made)) }}
{%- endif %}
{%- for subject in asked %}
{{ context_table('found_' ~ subject.number, context_of_subject(subject, made)) }}
{%- endfor %}
{%- endif -%}
{%- endmacro %}

{% macro context_table(name, sql) -%}
create or replace temp table context_{{ name }} as
{{ sql }};
{%- endmacro %}


{#- 3. SELECT of the rows of `relation` (whole conformed rows with `_event_at`) with their context. -#}
{% macro context_events(relation, made) -%}
{%- set asked = made.asked -%}
select *
{%- if asked %} exclude ({% for subject in asked %}context_{{ subject.number }}{{ ', ' if not loop.last }}{% endfor %}){% endif %} replace (
{{ context_filled(made) }}
) from (
select event.*
{%- for subject in asked %},
  {{ context_at(subject, made) }} as context_{{ subject.number }}
{%- endfor %}
from {{ relation }} as event
{%- for subject in asked %}
left join context_found_{{ subject.number }} as found_{{ subject.number }}
  on found_{{ subject.number }}.event_hour = date_trunc('hour', event._event_at)
  {%- for column, key in subject['keys'] %}
  and found_{{ subject.number }}.{{ column }} is not distinct from {{ key }}
  {%- endfor %}
{%- endfor %}
) as event
{%- endmacro %}


{#- Each combination of a subject once an hour: id, event_hour, keys. -#}
{% macro context_subject(subject) -%}
select row_number() over () as id, * from (
  select distinct event_hour{% for column, key in subject['keys'] %}, {{ column }}{% endfor %}
  from context_rows
  where {% for column, key in subject['keys'] %}{{ column }} is not null{{ ' or ' if not loop.last }}{% endfor %}
)
{%- endmacro %}


{#- Rows (subject, id, event_hour, path, kind, value): one for each observable of a combination. -#}
{% macro context_asked(asked) -%}
select null::integer as subject, null::bigint as id, null::timestamp as event_hour, null::varchar as path,
  null::varchar as kind, null::varchar as value where false
{%- for subject in asked %}{% for each in subject.asked %}
union all select * from (
  select {{ subject.number }} as subject, id, event_hour, '{{ each.path }}' as path, '{{ each.kind }}' as kind,
    {{ 'unnest(list_distinct(' ~ each.column ~ '))' if each.is_list else each.column }} as value
  from context_subject_{{ subject.number }}
) where value is not null
{%- endfor %}{% endfor %}
{%- endmacro %}


{#- Tables `address` (value, key_high, key_low, geoip_key), `network_address` (value, key_high, key_low: an IPv6 address
    that carries an IPv4 address is asked about as both) and `observable` (kind, value, text, key_high, key_low): what is
    asked, each once. -#}
{% macro context_keys(held) -%}
{%- set addresses -%}
(
  select distinct value from context_asked where kind = 'ip'
  {%- for table in held.entities %} union select value from context_{{ table }}_called where kind = 'ip'{% endfor %}
)
{%- endset -%}
{{ context_table('address_text', ip_hexes(addresses)) }}
{{ context_table('address', "select value, ('0x' || left(hex, 16))::ubigint as key_high, ('0x' || right(hex, 16))::ubigint as key_low,
  " ~ geoip_address_key('hex') ~ " as geoip_key
from context_address_text where hex is not null") }}
{{ context_table('network_address', "select value, key_high, key_low from context_address
union select value, (geoip_key >> 64)::ubigint, (geoip_key & 18446744073709551615::uhugeint)::ubigint from context_address") }}
{{ context_table('observable_text', "select kind, value, " ~ observable_text('kind', 'value') ~ " as text
from (select distinct kind, value from context_asked where kind <> 'ip')") }}
{{ context_table('observable', "select kind, value, text, " ~ observable_high('kind', 'text') ~ " as key_high, " ~ observable_low('kind', 'text') ~ " as key_low
from context_observable_text where text is not null") }}
{%- endmacro %}


{#- For each subject and id, what was found as lists of enrichments. -#}
{% macro context_entries(made) -%}
{%- set held = made.held -%}
with entry as (
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
  union all ({{ lookup_hits('context_asked', held.lookups) }})
  {%- endif %}
)
select subject, id, {{ context_lists('enrichment', context_type(made, 'enrichments')) }}
from (
  select subject, id, event_hour, valid_from, valid_to, {{ context_enrichment() }} as enrichment,
    row(position, name, provider, value, data) as place
  from entry
) as found
group by subject, id
{%- endmacro %}

{% macro context_osints(made) -%}
select subject, id, {{ context_lists('osint', context_type(made, 'osint')) }}
from ({{ context_osint_entries() }}) as found
group by subject, id
{%- endmacro %}


{#- Aggregates over rows with event_hour, valid_from, valid_to, `place` (their order) and the struct `what`: `always`, what
    holds during the whole hour, and `sometimes`, what begins or ends within it. Sorted once they are lists, for an ordered
    aggregate sorts each group by itself. -#}
{% macro context_lists(what, type) -%}
{%- set whole = "valid_from <= event_hour and valid_to >= event_hour + interval 1 hour" -%}
list_transform(list_sort(list({'place': place, 'what': {{ what }}}) filter ({{ whole }})), lambda each: each.what){{ '::' ~ type if type }} as always,
  list_transform(
    list_sort(list({'place': place, 'valid_from': valid_from, 'valid_to': valid_to, 'what': {{ what }}}) filter (not ({{ whole }}))),
    lambda each: {'valid_from': each.valid_from, 'valid_to': each.valid_to, 'what': each.what}
  )
    {{- '::struct(valid_from timestamp, valid_to timestamp, what ' ~ type[:-2] ~ ')[]' if type }} as sometimes
{%- endmacro %}


{#- One row for each combination of a subject that something was found for. -#}
{% macro context_of_subject(subject, made) -%}
{%- set n = subject.number -%}
{%- set joined = ["entries as e"] -%}
{%- if 'indicators' in made.held.observables -%}{%- do joined.append("osints as o") -%}{%- endif -%}
{%- if subject.called -%}{%- do joined.append(subject.called[0].table ~ "_known as k") -%}{%- endif -%}
select s.event_hour
  {%- for column, key in subject['keys'] %}, s.{{ column }}{% endfor %},
  e.always as enrichments, e.sometimes as later_enrichments
  {%- if 'indicators' in made.held.observables %}, o.always as osint, o.sometimes as later_osint{% endif %}
  {%- if subject.called %}, k.always as known, k.sometimes as later_known{% endif %}
  {%- for table in subject.places %}, {{ table }}{% endfor %}
from context_subject_{{ n }} as s
{%- for each in joined %}
left join (select * from context_{{ each.split(' ')[0] }} where subject = {{ n }}) as {{ each[-1] }} on {{ each[-1] }}.id = s.id
{%- endfor %}
{%- for table in subject.places %}
left join context_{{ table }} as {{ table }} on {{ table }}.ip = s.{{ subject.place }} and {{ table }}.event_hour = s.event_hour
{%- endfor %}
where {% for each in joined %}{{ each[-1] }}.id is not null{{ ' or ' if not loop.last }}{% endfor %}
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
