"""Context of observables from lookup providers. Which attributes are asked about is declared in the settings
(`lookups.<provider>.ask_about`).

An event gets the answer that held at its time: one enrichment of type `reputation` for each provider. An observable
without an answer at that time gets one of type `pending`; `headwater lookup` asks, and the hour is built again when the
answer has come. What may never be sent (ingest/lookups/egress_policy.py) has neither.
"""

from collections.abc import Mapping

from lake.base.sql import literal
from lake.ocsf.context.fragments import case, times
from lake.ocsf.context.plan import ReferenceInventory

REPUTATION = "struct(base_score double, score_id integer, score varchar, provider varchar)"
# `data` of an answer is a JSON object without blanks (lake/ledger/lookup_answers.py), so adding to its text is enough.
# What waits says by which key its answer will be found (lake/ledger/pending_lookups.py).
_TIMES = times("asked_at", "valid_to", prefix="hit.")
_DATA = f"""case when hit.status = 'pending'
    then to_json({{'status': 'pending', 'kind': hit.kind, 'key': hit.key}})::varchar
    else left(hit.data, length(hit.data) - 1) || case when hit.data = '{{}}' then '' else ',' end
      || '"status":"' || hit.status || '","asked_at":"' || {_TIMES["asked_at"]}
      || '","expires_at":"' || {_TIMES["valid_to"]} || '"}}'
  end"""
_SAME = """answer.provider = wanted.provider and answer.kind = wanted.kind
    and answer.key_high = wanted.key_high and answer.key_low = wanted.key_low"""


def entries(inventory: ReferenceInventory, scores: Mapping[int | str, str]) -> str:
    """Return a SELECT of rows of `entry`; `scores` are the captions of `reputation.score_id`.

    Of each observable and provider the answers, one behind the other in time, and after the last one (without any: from
    1970) `pending`.
    """
    wanted = "\n  union all\n  ".join(_wanted(inventory, *each) for each in inventory.lookups)
    captions = " ".join(f"when {id_} then {literal(text)}" for id_, text in scores.items())
    return f"""select * from (
with lookup_asked as materialized (
  select asked.*, known.text, known.key_high, known.key_low,
    printf('%016x%016x', known.key_high, known.key_low) as key
  from (select distinct path, kind, value from context_asked) as asked
  join (
    select 'ip' as kind, value, value as text, key_high, key_low from context_address
    union select kind, value, text, key_high, key_low from context_observable
  ) as known on known.kind = asked.kind and known.value = asked.value
),
lookup_wanted as (
  {wanted}
),
lookup_answer as materialized (
  select answer.*
  from reference.lookups as answer
  where (answer.key_high, answer.key_low) in (select (key_high, key_low) from lookup_asked)
),
lookup_hit as (
  select wanted.path, wanted.kind, wanted.written, wanted.provider, wanted.key, answer.status, answer.data,
    answer.score, answer.score_id, answer.asked_at, answer.valid_from, answer.valid_to
  from lookup_wanted as wanted
  join lookup_answer as answer on {_SAME}
  union all
  select wanted.path, wanted.kind, wanted.written, wanted.provider, wanted.key, 'pending', null, null, null, null,
    coalesce(max(answer.valid_to), timestamp '1970-01-01'), timestamp '9999-12-31'
  from lookup_wanted as wanted
  left join lookup_answer as answer on {_SAME}
  group by all
)
select asked.subject, asked.id, asked.event_hour, hit.valid_from, hit.valid_to, 9 as position, hit.path as name,
  case hit.status when 'pending' then 'pending' else 'reputation' end as type, hit.written as value, hit.provider,
  epoch_ms(hit.asked_at) as created_time, {_DATA} as data,
  case when hit.score_id is not null then {{
    'base_score': hit.score, 'score_id': hit.score_id, 'score': case hit.score_id {captions} end,
    'provider': hit.provider}} end as reputation
from context_asked as asked
join lookup_hit as hit
  on hit.path = asked.path and hit.kind = asked.kind and hit.written = asked.value
  and hit.valid_from < asked.event_hour + interval 1 hour and hit.valid_to > asked.event_hour
)"""


def _wanted(inventory: ReferenceInventory, provider: str, path: str) -> str:
    return f"""select *, {literal(provider)} as provider
  from (select * exclude (value, text), value as written, text as value from lookup_asked)
  where replace(path, '[]', '') = {literal(path)} and {case("kind", inventory.sendable[provider], "false")}"""
