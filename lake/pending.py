"""Which published events wait for the answer of a lookup provider, and for which of them it has come since.

What belongs here: reading `enrichments` of type `pending` in silver. What does not: writing them
(`dbt_project/macros/context_lookups.sql`), asking (`ingest.lookups`).

Nothing has to remember what to ask or to build: receipts of builds count what waits (`pending:<provider>`), the events
themselves say for what, and the answers say until when they hold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lake import ledger
from lake.answers import answers_sql, versions
from lake.duck import connect
from lake.receipts import BuildReceipt
from lake.registry import literal
from lake.store import Store

PREFIX = "pending:"
_FILES_AT_ONCE = 500


@dataclass(frozen=True)
class Waiting:
    """One observable that events wait for: how many events, the last of them (naive UTC), published since when (ISO).

    `value` is the observable as an event wrote it, `key` its key (see `lake.answers`).
    """

    provider: str
    kind: str
    key: str
    value: str
    events: int
    last_at: datetime
    since: str


def pending_counts(receipt: BuildReceipt) -> dict[str, int]:
    """Return how many events of an hour wait, by provider."""
    return {name.removeprefix(PREFIX): number for name, number in receipt.counts.items() if name.startswith(PREFIX)}


def pending_receipts(store: Store, models: Iterable[str] | None = None) -> list[BuildReceipt]:
    """Return the receipts of hours with events that wait, of some models or of all, oldest hour first."""
    names = ledger.built_models(store) if models is None else models
    found = [each for model in names for each in ledger.builds(store, model).values()]
    return sorted((each for each in found if _waits(each)), key=lambda each: (each.hour, each.model))


def waiting(store: Store, receipts: Sequence[BuildReceipt], provider: str) -> list[Waiting]:
    """Return what the hours of some receipts wait for from a provider, without what is answered; oldest first."""
    since: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str], Waiting] = {}
    ends = {(kind, key): end for name, kind, key, end in _answered_until(store) if name == provider}
    mine = {each.file: each.built_at for each in receipts if provider in pending_counts(each)}
    for row in _pending_rows(store, list(mine)):
        file, name, kind, key, value, events, last_at = row
        if name != provider or ends.get((kind, key), datetime.min) > last_at:
            continue
        known = found.get((kind, key))
        began = min(filter(None, (since.get((kind, key)), mine[file])))
        since[kind, key] = began
        total = events + (known.events if known else 0)
        last = max(last_at, known.last_at) if known else last_at
        found[kind, key] = Waiting(name, kind, key, known.value if known else value, total, last, began)
    return sorted(found.values(), key=lambda each: (each.since, each.kind, each.key))


def answered(store: Store, receipts: Iterable[BuildReceipt]) -> set[tuple[str, str]]:
    """Return the (model, hour) of the receipts whose hours hold events that wait for an answer which is there now."""
    waits = [each for each in receipts if _waits(each)]
    now = versions(store) if waits else {}
    asked = [each for each in waits if _has_news(each, now)]
    if not asked:
        return set()
    ends = {(name, kind, key): end for name, kind, key, end in _answered_until(store)}
    files = {
        row[0]
        for row in _pending_rows(store, [each.file for each in asked], first=True)
        if ends.get((row[1], row[2], row[3]), datetime.min) > row[6]
    }
    return {(each.model, each.hour) for each in asked if each.file in files}


def _waits(receipt: BuildReceipt) -> bool:
    return bool(receipt.file and not receipt.expired_at and any(name.startswith(PREFIX) for name in receipt.counts))


def _has_news(receipt: BuildReceipt, now: Mapping[str, str]) -> bool:
    """Whether a provider that an hour waits for has answered anything since the hour was built."""
    names = [f"lookups:{provider}" for provider in pending_counts(receipt)]
    return any(now.get(name, "0") != receipt.context.get(name, "0") for name in names)


def _answered_until(store: Store) -> list[tuple[str, str, str, datetime]]:
    with connect(store) as con:
        return con.execute(
            f"select provider, kind, key, max(valid_to) from ({answers_sql(store)}) group by all"
        ).fetchall()


def _pending_rows(
    store: Store, keys: Sequence[str], first: bool = False
) -> Iterator[tuple[str, str, str, str, str, int, datetime]]:
    """Yield (file, provider, kind, key, value, events, time of the last event; with `first`, of the first one).

    A file that has gone has nothing that waits: its hour is stale for that reason.
    """
    bound = "min" if first else "max"
    for start in range(0, len(keys), _FILES_AT_ONCE):
        urls = {store.url(key): key for key in _there(store, keys[start : start + _FILES_AT_ONCE])}
        if not urls:
            continue
        files = ", ".join(map(literal, urls))
        with connect(store) as con:
            rows = con.execute(
                f"""
                select filename, entry.provider, entry.data ->> '$.kind', entry.data ->> '$.key', min(entry.value),
                  count(*), make_timestamp({bound}(time) * 1000)
                from (
                  select filename, time, unnest(list_filter(enrichments, lambda each: each.type = 'pending')) as entry
                  from read_parquet([{files}], filename = true, union_by_name = true, hive_partitioning = false)
                )
                group by all order by all
                """
            ).fetchall()
        yield from ((urls[row[0]], *row[1:]) for row in rows)


def _there(store: Store, keys: Sequence[str]) -> list[str]:
    return [key for key, held in store.infos(keys).items() if held is not None]
