"""The funnel of a data product: raw events → candidates → signals → reviewed → true, by month.

Months are those of the events. `reviewed` counts signals with a verdict; `precision` is true positives of those
that were judged (true, false or benign: a duplicate or an inconclusive one says nothing of the product). A signal's
time is counted from its first logon: until the last event that it rests on had arrived (`median_seconds_to_arrival`),
and until the finding was published, by the receipt of the newest build of its hour (`median_seconds_to_signal`).
"""

from collections.abc import Sequence

from lake.base.sql import empty_select, literal, quoted
from lake.ledger import build_receipts
from lake.signals.verdicts import TRUE, files_of, verdicts_sql
from lake.storage import paths
from lake.storage.store import Store

FUNNEL = "signal_funnel"
_FUNNEL_COLUMNS = (
    ("product", "VARCHAR"),
    ("_event_at", "TIMESTAMP"),
    ("raw_events", "BIGINT"),
    ("matches", "BIGINT"),
    ("candidates", "BIGINT"),
    ("signals", "BIGINT"),
)
_SIGNAL_COLUMNS = (
    ("product", "VARCHAR"),
    ("uid", "VARCHAR"),
    ("at", "TIMESTAMP"),
    ("arrived_at", "TIMESTAMP"),
    ("hour", "VARCHAR"),
)


def quality_sql(store: Store, products: Sequence[str]) -> str:
    """Return the SELECT of `signal_quality`: one row a product and month."""
    funnel = files_of(store, f"{paths.GOLD}/{FUNNEL}")
    names = ", ".join(quoted(name) for name, _ in _FUNNEL_COLUMNS)
    counted = f"select {names} from {funnel}" if funnel else empty_select(_FUNNEL_COLUMNS)
    return f"""with funnel as (
  select product, date_trunc('month', _event_at)::date as month, sum(raw_events)::bigint as raw_events,
    sum(matches)::bigint as matches, sum(candidates)::bigint as candidates
  from ({counted}) group by all
),
signal as ({_signals(store, products)}),
built as ({_built(store, products)}),
judged as (select finding_uid, disposition from ({verdicts_sql(store)}) where is_current),
reviewed as (
  select signal.product, date_trunc('month', signal."at")::date as month,
    count(*) as signals, count(judged.disposition) as reviewed,
    count(*) filter (where judged.disposition = {literal(TRUE)}) as true_positives,
    count(*) filter (where judged.disposition = 'false_positive') as false_positives,
    count(*) filter (where judged.disposition = 'benign') as benign,
    count(*) filter (where judged.disposition = 'duplicate') as duplicates,
    count(*) filter (where judged.disposition = 'inconclusive') as inconclusive,
    median(date_diff('second', signal."at", signal.arrived_at)) as median_seconds_to_arrival,
    median(date_diff('second', signal."at", built.built_at)) as median_seconds_to_signal
  from signal
  left join judged on judged.finding_uid = signal.uid
  left join built on built.product = signal.product and built.hour = signal.hour
  group by all
)
select product, month, coalesce(raw_events, 0) as raw_events, coalesce(matches, 0) as matches,
  coalesce(candidates, 0) as candidates, coalesce(signals, 0) as signals, coalesce(reviewed, 0) as reviewed,
  coalesce(true_positives, 0) as true_positives, coalesce(false_positives, 0) as false_positives,
  coalesce(benign, 0) as benign, coalesce(duplicates, 0) as duplicates, coalesce(inconclusive, 0) as inconclusive,
  true_positives / nullif(true_positives + false_positives + benign, 0) as precision,
  median_seconds_to_arrival, median_seconds_to_signal
from funnel full join reviewed using (product, month)
order by product, month"""


def _signals(store: Store, products: Sequence[str]) -> str:
    parts = [f"({empty_select(_SIGNAL_COLUMNS)})"]
    for product in products:
        if files := files_of(store, f"{paths.GOLD}/{paths.checked(product)}"):
            parts.append(
                f'(select {literal(product)} as product, finding_info.uid as uid, time_dt as "at",'
                " epoch_ms(metadata.logged_time) as arrived_at, strftime(time_dt, '%Y-%m-%dT%H') as hour"
                f" from {files} qualify row_number() over (partition by finding_info.uid order by time_dt) = 1)"
            )
    return " union all by name ".join(parts)


def _built(store: Store, products: Sequence[str]) -> str:
    columns = (("product", "VARCHAR"), ("hour", "VARCHAR"), ("built_at", "TIMESTAMP"))
    rows = [
        f"({literal(product)}, {literal(hour)}, ({literal(receipt.built_at)}::timestamptz at time zone 'UTC'))"
        for product in products
        for hour, receipt in build_receipts.of_model(store, product).items()
        if receipt.rows
    ]
    if not rows:
        return empty_select(columns)
    return f"select * from (values {', '.join(rows)}) as held (product, hour, built_at)"
