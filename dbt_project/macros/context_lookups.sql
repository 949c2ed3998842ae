{#-
  What lookup providers said of the observables of events. A mapping writes nothing: which attributes are asked about is
  declared in the settings (`lookups.<provider>.ask_about`).

  An event gets the answer that held at its time: one enrichment of type `reputation` for each provider. An observable
  without an answer at that time gets one of type `pending`; `headwater lookup` asks, and the hour is built again when the
  answer has come. What may never be sent (ingest/lookups/egress_policy.py) has neither.
-#}


{#- Rows for the CTE `entry` of `context_found`: the answers of providers, one behind the other in time, and after the last
    one (without any: from 1970) `pending`. `context_address` and `context_observable` are made by
    `context_keys`; lookups: [[provider, attribute path without []], …]. -#}
{% macro lookup_hits(asked, lookups) -%}
{%- set sendable = fromjson(lake_call("hw_lookups", [""])) -%}
select * from (
with lookup_asked as materialized (
  select asked.*, known.text, known.key_high, known.key_low, {{ lookup_key('known.key_high', 'known.key_low') }} as key
  from (select distinct path, kind, value from {{ asked }}) as asked
  join (
    select 'ip' as kind, value, value as text, key_high, key_low from context_address
    union select kind, value, text, key_high, key_low from context_observable
  ) as known on known.kind = asked.kind and known.value = asked.value
),
lookup_wanted as (
{%- for provider, path in lookups %}
  {{ 'union all' if not loop.first }} select *, '{{ provider }}' as provider
  from (select * exclude (value, text), value as written, text as value from lookup_asked)
  where replace(path, '[]', '') = '{{ path }}'
    and case kind {% for kind, condition in sendable[provider].items() %}when '{{ kind }}' then {{ condition }} {% endfor %}else false end
{%- endfor %}
),
lookup_answer as materialized (
  select answer.*
  from reference.lookups as answer
  where (answer.key_high, answer.key_low) in (select (key_high, key_low) from lookup_asked)
),
lookup_hit as (
  select wanted.path, wanted.kind, wanted.written, wanted.provider, wanted.key, answer.status, answer.data, answer.score,
    answer.score_id, answer.asked_at, answer.valid_from, answer.valid_to
  from lookup_wanted as wanted
  join lookup_answer as answer
    on answer.provider = wanted.provider and answer.kind = wanted.kind
    and answer.key_high = wanted.key_high and answer.key_low = wanted.key_low
  union all
  select wanted.path, wanted.kind, wanted.written, wanted.provider, wanted.key, 'pending', null, null, null, null,
    coalesce(max(answer.valid_to), timestamp '1970-01-01'), timestamp '9999-12-31'
  from lookup_wanted as wanted
  left join lookup_answer as answer
    on answer.provider = wanted.provider and answer.kind = wanted.kind
    and answer.key_high = wanted.key_high and answer.key_low = wanted.key_low
  group by all
)
select asked.subject, asked.id, asked.event_hour, hit.valid_from, hit.valid_to, 9 as position, hit.path as name,
  case hit.status when 'pending' then 'pending' else 'reputation' end as type, hit.written as value, hit.provider,
  epoch_ms(hit.asked_at) as created_time, {{ lookup_data('hit') }} as data, {{ lookup_reputation('hit') }} as reputation
from {{ asked }} as asked
join lookup_hit as hit
  on hit.path = asked.path and hit.kind = asked.kind and hit.written = asked.value
  and hit.valid_from < asked.event_hour + interval 1 hour and hit.valid_to > asked.event_hour
)
{%- endmacro %}


{#- `enrichments[].data` of an answer, as JSON text: its useful fields, and when it was given and expires. What waits says
    by which key the answer will be found (lake/ledger/pending.py). `data` is an object without blanks (lake/ledger/answers.py), so adding
    to its text is enough. -#}
{% macro lookup_data(hit) -%}
case when {{ hit }}.status = 'pending'
  then to_json({'status': 'pending', 'kind': {{ hit }}.kind, 'key': {{ hit }}.key})::varchar
  else left({{ hit }}.data, length({{ hit }}.data) - 1) || case when {{ hit }}.data = '{}' then '' else ',' end
    || '"status":"' || {{ hit }}.status
    || '","asked_at":"' || strftime({{ hit }}.asked_at, '%Y-%m-%dT%H:%M:%SZ')
    || '","expires_at":"' || strftime({{ hit }}.valid_to, '%Y-%m-%dT%H:%M:%SZ') || '"}'
end
{%- endmacro %}


{#- `enrichments[].reputation` of an answer that judges; OCSF wants the score as the provider counts, and its own scale. -#}
{% macro lookup_reputation(hit) -%}
case when {{ hit }}.score_id is not null then {
  'base_score': {{ hit }}.score, 'score_id': {{ hit }}.score_id,
  'score': case {{ hit }}.score_id {% for id, caption in ocsf_enums()["reputation.score_id"].items() %}when {{ id }} then '{{ caption }}' {% endfor %}end,
  'provider': {{ hit }}.provider
} end
{%- endmacro %}

{#- The key of an observable in 32 hexadecimal digits, of its two halves. -#}
{% macro lookup_key(high, low) -%}
printf('%016x%016x', {{ high }}, {{ low }})
{%- endmacro %}


{#- For analysts' SQL: text of `field` of what a provider said of an attribute; NULL when it said nothing (yet).
    name: 'src_endpoint.ip', …; '' for any. provider: as the settings name it. field: a key of `data` ('confidence',
    'status'), or score, score_id of its reputation. events: alias of the table, where several have enrichments. -#}
{% macro looked_up(name, provider, field, events='') -%}
{%- set first -%}
list_filter({{ events ~ '.' if events }}enrichments, lambda each: each.type = 'reputation' and each.provider = '{{ provider }}'
  {{- " and each.name = '" ~ name ~ "'" if name }})[1]
{%- endset -%}
{%- if field == 'score' -%}
(({{ first }}).reputation.base_score::varchar)
{%- elif field == 'score_id' -%}
(({{ first }}).reputation.score_id::varchar)
{%- else -%}
(({{ first }}).data ->> '$.{{ field }}')
{%- endif -%}
{%- endmacro %}


{#- hour → `pending:<provider>` → events that wait for an answer, of what was staged. -#}
{% macro lake_pending_counts(staged) -%}
  {%- set counts = {} -%}
  {%- for row in run_query(
      "select date || 'T' || hour, 'pending:' || provider, count(*) from (select date, hour, unnest(list_distinct("
      ~ "list_transform(list_filter(enrichments, lambda each: each.type = 'pending'), lambda each: each.provider))) as provider"
      ~ " from " ~ staged ~ ") group by all").rows -%}
    {%- do counts.setdefault(row[0], {}).update({row[1]: row[2] | int}) -%}
  {%- endfor -%}
  {{ return(counts) }}
{%- endmacro %}
