"""Which published events wait for the answer of a lookup provider, and for which of them it has come since.

Nothing has to remember what to ask or to build: receipts of builds count what waits (`pending:<provider>`), the events
themselves say for what, and the answers say until when they hold. Where an hour has an index of its observables
(`lake.matching.index`), it tells whether the hour need be looked at.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from lake.base.sql import literal
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.lookup_answers import answers_sql, versions
from lake.storage import paths
from lake.storage.duck import connect
from lake.storage.store import Store

PREFIX = "pending:"
_FILES_AT_ONCE = 500
# An hour may have been built for so long, and by so wrong a clock, before its receipt says that it was.
_SLACK = timedelta(days=1)


@dataclass(frozen=True)
class Waiting:
    """One observable that events wait for: how many events, the last of them (naive UTC), published since when (ISO).

    `value` is the observable as an event wrote it, `key` its key (see `lake.ledger.lookup_answers`).
    """

    provider: str
    kind: str
    key: str
    value: str
    events: int
    last_at: datetime
    since: str


@dataclass(frozen=True)
class Backlog:
    """What events wait for from one provider: how many observables and events, since when, and the first of them."""

    observables: int = 0
    events: int = 0
    since: str = ""
    first: tuple[Waiting, ...] = ()


def pending_sql(events: str) -> str:
    """Return the query for hour → `pending:<provider>` → events that wait for an answer, as one JSON text."""
    return f"""select coalesce(json_group_object(hour, counts), '{{}}')::varchar from (
  select hour, json_group_object('{PREFIX}' || provider, events) as counts from (
    select hour, provider, count(*) as events from (
      select date || 'T' || hour as hour, unnest(list_distinct(list_transform(
        list_filter(enrichments, lambda each: each.type = 'pending'), lambda each: each.provider))) as provider
      from {events}
    ) group by all
  ) group by hour
)"""


def pending_counts(receipt: BuildReceipt) -> dict[str, int]:
    """Return how many events of an hour wait, by provider."""
    return {name.removeprefix(PREFIX): number for name, number in receipt.counts.items() if name.startswith(PREFIX)}


def pending_receipts(store: Store, models: Iterable[str] | None = None) -> list[BuildReceipt]:
    """Return the receipts of hours with events that wait, of some models or of all, oldest hour first."""
    names = build_receipts.models(store) if models is None else models
    found = [each for model in names for each in build_receipts.of_model(store, model).values()]
    return sorted((each for each in found if _waits(each)), key=lambda each: (each.hour, each.model))


def backlog(
    store: Store, receipts: Sequence[BuildReceipt], provider: str, now: datetime, most: int | None = None
) -> Backlog:
    """Return what the hours of some receipts wait for from a provider, the longest waiting first, at most `most`.

    What has an answer that holds for the events, or one that is valid still at `now` (naive UTC), is left out.
    """
    mine = {each.file: each.built_at for each in receipts if provider in pending_counts(each)}
    with connect(store) as con:
        con.execute(
            "create table waits"
            " (kind varchar, key varchar, value varchar, events bigint, last_at timestamp, since varchar)"
        )
        for urls in _there(store, mine):
            _rows(
                con,
                urls,
                lambda some: (
                    f"""
                insert into waits
                select kind, key, min(value), count(*), max(event_at), min(built_at)
                from ({_entries(some)}) join ({_files(some, mine)}) using (filename)
                where provider = {literal(provider)}
                group by kind, key
                """
                ),
            )
        rows = con.execute(
            f"""
            with waits as (
              select kind, key, min(value) as value, sum(events)::bigint as events, max(last_at) as last_at,
                min(since) as since
              from waits group by kind, key
            ),
            held as (
              select kind, key, max(valid_to) as until from ({answers_sql(store, [provider])}) group by kind, key
            ),
            open as materialized (  -- no `over ()`: DuckDB 1.5.5 failed there now and then with an internal error
              select waits.* from waits left join held using (kind, key)
              where until is null or (until <= last_at and until <= ?)
            )
            select open.*, total.*
            from open cross join (select count(*), sum(events)::bigint, min(since) from open) as total
            order by since, kind, key limit {"all" if most is None else max(1, most)}
            """,
            [now],
        ).fetchall()
    if not rows:
        return Backlog()
    observables, events, since = rows[0][6:]
    return Backlog(observables, events, since, tuple(Waiting(provider, *row[:6]) for row in rows))


def answered(store: Store, receipts: Iterable[BuildReceipt]) -> set[tuple[str, str]]:
    """Return the (model, hour) of the receipts whose hours hold events that wait for an answer which is there now."""
    waits = [each for each in receipts if _waits(each)]
    now = versions(store) if waits else {}
    asked = {each.file: each for each in waits if _has_news(each, now)}
    if not asked:
        return set()
    with connect(store) as con:
        con.execute(
            "create table answer as select provider, kind, key, key_high, key_low, max(asked_at) as asked_at,"
            f" max(valid_to) as until from ({answers_sql(store)}) group by all"
        )
        found = _answered_files(con, store, _likely(con, store, asked))
    return {(asked[file].model, asked[file].hour) for file in found}


def _answered_files(con: duckdb.DuckDBPyConnection, store: Store, files: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for urls in _there(store, files):
        rows, _ = _rows(
            con,
            urls,
            lambda some: (
                f"""
            select distinct filename from ({_entries(some)}) as entry join answer using (provider, kind, key)
            where answer.until > entry.event_at
            """
            ),
        )
        found.update(urls[url] for (url,) in rows)
    return found


def _likely(con: duckdb.DuckDBPyConnection, store: Store, asked: Mapping[str, BuildReceipt]) -> list[str]:
    """Return the files that may hold what was answered since they were built: by their index, or for want of one."""
    indexed = {paths.index_file(file): file for file, receipt in asked.items() if receipt.index is not None}
    since = {key: str(_built_at(asked[file]) - _SLACK) for key, file in indexed.items()}
    seen: set[str] = set()
    found: list[str] = []
    for urls in _there(store, indexed):
        rows, read = _rows(
            con,
            urls,
            lambda some: (
                f"""
            select distinct filename
            from (
              select filename, kind, key_high, key_low, first_at
              from read_parquet([{", ".join(map(literal, some))}], filename = true, hive_partitioning = false)
            ) as observable
            join ({_files(some, since)}) using (filename)
            join answer using (kind, key_high, key_low)
            where answer.asked_at >= built_at::timestamp and answer.until > observable.first_at
            """
            ),
        )
        seen.update(read.values())
        found += [indexed[urls[url]] for (url,) in rows]
    return [*found, *(file for file in asked if paths.index_file(file) not in seen)]


def _waits(receipt: BuildReceipt) -> bool:
    if not receipt.counts or not receipt.file or receipt.expired_at:
        return False
    return any(name.startswith(PREFIX) for name in receipt.counts)


def _has_news(receipt: BuildReceipt, now: Mapping[str, str]) -> bool:
    """Whether a provider that an hour waits for has answered anything since the hour was built."""
    names = [f"lookups:{provider}" for provider in pending_counts(receipt)]
    return any(now.get(name, "0") != receipt.context.get(name, "0") for name in names)


def _built_at(receipt: BuildReceipt) -> datetime:
    return datetime.fromisoformat(receipt.built_at).astimezone(UTC).replace(tzinfo=None)


def _there(store: Store, keys: Iterable[str]) -> Iterable[dict[str, str]]:
    """Yield address → key of the files that are there, some at a time. What has gone is stale for that reason."""
    wanted = list(keys)
    for start in range(0, len(wanted), _FILES_AT_ONCE):
        held = store.infos(wanted[start : start + _FILES_AT_ONCE])
        if urls := {store.url(key): key for key, info in held.items() if info is not None}:
            yield urls


def _rows(
    con: duckdb.DuckDBPyConnection, urls: Mapping[str, str], sql: Callable[[Mapping[str, str]], str]
) -> tuple[list[tuple[Any, ...]], dict[str, str]]:
    """Return the rows of a question to some files, and which of these could be read.

    A damaged file must not keep a lake from being built: it is left out here, and whoever looks at files tells of it.
    """
    try:
        return con.execute(sql(urls)).fetchall(), dict(urls)
    except duckdb.Error:
        if len(urls) == 1:
            return [], {}
    parts = [_rows(con, {url: key}, sql) for url, key in urls.items()]
    return [row for rows, _ in parts for row in rows], {url: key for _, read in parts for url, key in read.items()}


def _entries(urls: Iterable[str]) -> str:
    """Return a SELECT of what waits in files of silver: filename, event_at, provider, kind, key, value."""
    return f"""
      select filename, make_timestamp(time * 1000) as event_at, entry.provider as provider,
        entry.data ->> '$.kind' as kind, entry.data ->> '$.key' as key, entry.value as value
      from (
        select filename, time, unnest(list_filter(enrichments, lambda each: each.type = 'pending')) as entry
        from read_parquet(
          [{", ".join(map(literal, urls))}], filename = true, union_by_name = true, hive_partitioning = false
        )
      )"""


def _files(urls: Mapping[str, str], built_at: Mapping[str, str]) -> str:
    """Return a SELECT of filename, built_at (text)."""
    rows = ", ".join(f"({literal(url)}, {literal(built_at[key])})" for url, key in urls.items())
    return f"select * from (values {rows}) as file (filename, built_at)"
