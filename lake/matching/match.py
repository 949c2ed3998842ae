"""Matching: what is new in the lists is held against the lake's past, and what is new in the lake against the lists.

One run, from indicators to published hours. It may be killed anywhere and started again: each part of the hours is
published as one act with its receipts, and what a run has to do follows from those alone.

A match has an id that the same event and indicator always give. So a search that runs again, or after another, adds
nothing twice, and an hour that was searched in pieces holds the rows of one that was searched at once. An hour of which
nothing changed keeps its file and the time it was built: nothing that reads it becomes stale.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from lake import ledger
from lake.base.sql import literal, texts
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt, SameRows
from lake.ledger.published_tables import mark
from lake.matching import matches, search
from lake.matching.index import Unreadable, reading
from lake.matching.indicators import Indicators, Sought
from lake.matching.matches import FOUND
from lake.matching.planning import MATCHING, Hour, Plan, context_of, ended_hours, inputs_of, plan, publish_ends
from lake.ocsf import observable_text
from lake.ocsf.attributes import EventClass
from lake.storage import duck, paths
from lake.storage.duck import typed_select
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import LocalStore, Store

DAYS = 90.0
_THREADS_AT_A_BUCKET = 16  # index files are small: each is a few requests


@dataclass
class Matched:
    """What a run did. `found` are new matches by feed; `failed` and `mended` tell of files, `left` of hours.

    `indicators` are those that the lake has of kinds that events have observables of, `sought` those that were held
    against at least one hour, `passed_over` those of other kinds. `observables` counts index rows that were looked at.
    """

    indicators: int = 0
    sought: int = 0
    passed_over: int = 0
    hours: int = 0
    current: int = 0
    files: int = 0
    observables: int = 0
    found: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    mended: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Return how many matches are new."""
        return sum(self.found.values())


@dataclass(frozen=True)
class Limits:
    """What a run may use: memory of the search in bytes, and threads."""

    memory_bytes: int = 1 << 30
    threads: int = 2


def match(
    store: Store,
    indicators: str,
    classes: Mapping[str, EventClass],
    *,
    days: float = DAYS,
    feeds: Collection[str] = (),
    again: bool = False,
    dry_run: bool = False,
    limits: Limits = Limits(),
    report: Callable[[Matched], None] = lambda _: None,
) -> Matched:
    """Hold indicators against the observables of the lake and publish `gold.threat_matches`; return what was done.

    `indicators` is a SELECT with the columns of `reference.indicators`; `classes` are those that the project declares.
    An indicator is held against events up to `days` before it was learned. With `feeds`, only what is new of these
    counts; with `again`, every hour is searched anew; with `dry_run`, nothing is published. `report` is called
    after each part.

    Raises:
        duckdb.Error: the indicators cannot be read, or memory does not suffice.
    """
    began, done = time.monotonic(), Matched()
    with Workplace(store, "match") as place, duck.connect(store, _config(store, place, limits)) as con:
        con.execute("set preserve_insertion_order = false")
        observable_text.prepare(con)
        known = Indicators.read(con, indicators)
        done.indicators, done.passed_over = known.rows, known.other
        wanted = plan(store, known, days, feeds, again, ended_hours(con, store, known))
        done.current = wanted.current
        searcher = search.Search(con, store, place, classes, keep=not dry_run)
        signed = duck.Signed(con, store)
        while wanted.searches:
            damaged: list[Hour] = []
            for sought, hours in wanted.searches.items():
                done.sought = max(done.sought, known.seek(sought))
                prefixes = search.networks(con)
                for part in search.parts(store, hours):
                    signed.renew()  # a run may outlive the credentials of a role
                    searcher.run(part, prefixes)
                    published = _publish_found(con, store, place, known, sought, part, dry_run)
                    damaged += published.damaged
                    for feed, new in published.new.items():
                        done.found[feed] = done.found.get(feed, 0) + new
                    done.left += published.left
                    done.failed |= part.failed
                    done.mended |= part.mended
                    done.hours += len(part.hours) - len(published.damaged)
                    done.files += len(part.files)
                    done.observables += part.observables
                    done.seconds = time.monotonic() - began
                    report(done)
            wanted = Plan({Sought(days): damaged} if damaged else {})
        if not dry_run and not feeds and not done.failed and not done.left:
            publish_ends(store, known)
    done.seconds = time.monotonic() - began
    return done


def _config(store: Store, place: Workplace, limits: Limits) -> dict[str, str | int]:
    waiting = not isinstance(store, LocalStore)  # for a bucket's answers, more than for the processor
    return {
        "memory_limit": f"{limits.memory_bytes}B",
        "threads": max(limits.threads, _THREADS_AT_A_BUCKET) if waiting else limits.threads,
        "temp_directory": str(place.path / "spill"),
    }


_OLD, _OUT = "old_match", "out_match"  # rows with the hour they belong to (`match_hour`)
_DIGEST = f"sum(md5_number_lower(row({matches.NAMES})::varchar)::hugeint) % 18446744073709551616"  # of whole rows


@dataclass
class _Published:
    """What publishing did: new matches by feed, hours that changed meanwhile, hours whose file cannot be read."""

    new: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    damaged: list[Hour] = field(default_factory=list)


@dataclass(frozen=True)
class _Content:
    rows: int = 0
    digest: str = ""
    feeds: Mapping[str, int] = field(default_factory=dict)


def _publish_found(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    place: Workplace,
    indicators: Indicators,
    sought: Sought,
    part: search.Part,
    dry_run: bool = False,
) -> _Published:
    """Publish the rows of `found` and what the searched hours keep; with `dry_run`, only count what would be new."""
    done = _Published(damaged=_gather(con, store, sought, part))
    damaged = {each.hour for each in done.damaged}
    hours = [each for each in part.hours if each.hour not in damaged]
    done.new = dict(
        con.execute(
            f"select feed, count(*) from {_OUT} anti join {_OLD} using (match_id) group by 1 order by 1"
        ).fetchall()
    )
    if dry_run:
        return done
    contents = _contents(con)
    touched = hours if sought.whole else [each for each in hours if each.hour in contents]
    changed = {each.hour for each in touched if _changes(each, contents.get(each.hour, _Content()))}
    files = _written(con, place, sorted(changed))
    receipts = {}
    for each in hours:
        content, path = contents.get(each.hour, _Content()), files.get(each.hour)
        receipts[each.hour] = _receipt(indicators, sought, part, each, content, path, each.hour in changed)
    done.left = _publish(store, place, part, hours, receipts, files)
    return done


def _gather(con: duckdb.DuckDBPyConnection, store: Store, sought: Sought, part: search.Part) -> list[Hour]:
    """Make the tables of old and of outgoing rows; return the hours whose old rows are needed and cannot be read."""
    hit = {row[0] for row in con.execute(f"select distinct match_hour from {FOUND}").fetchall()}
    touched = [each for each in part.hours if each.before and each.before.file and (sought.whole or each.hour in hit)]
    con.execute(f"create or replace temp table {_OLD} as select * from {FOUND} limit 0")
    unread = _read_old(con, store, touched)
    damaged = [] if sought.whole else unread
    gone = [each.hour for each in damaged]
    con.execute(f"create or replace temp table damaged as select unnest({texts(gone)}) as match_hour")
    failed = [each.files[key] for each in part.hours for key in each.files if key in part.failed]
    columns = {
        "match_hour": [each.hour for each in failed],
        "event_table": [each.table for each in failed],
        "event_source": [each.source for each in failed],
    }
    selected = ", ".join(f"unnest({texts(values)}) as {name}" for name, values in columns.items())
    con.execute(f"create or replace temp table failed_file as select {selected}")
    stays = " semi join failed_file using (match_hour, event_table, event_source)" if sought.whole else ""
    con.execute(
        f"create or replace temp table {_OUT} as"
        f" select * from {FOUND} anti join damaged using (match_hour)"
        f" union all select * from {_OLD}{stays} where match_id not in (select match_id from {FOUND})"
    )
    return damaged


def _read_old(con: duckdb.DuckDBPyConnection, store: Store, hours: Sequence[Hour]) -> list[Hour]:
    """Put the rows that hours hold into the table of old ones; return the hours whose file cannot be read."""
    files = [each.before.file for each in hours if each.before]
    if not files:
        return []
    held = typed_select(matches.COLUMNS, [store.url(file) for file in files])
    try:
        with reading():
            con.execute(f"insert into {_OLD} select strftime(time_dt, '{ledger.HOUR}'), {matches.NAMES} from ({held})")
    except Unreadable:
        if len(hours) == 1:
            return list(hours)
        return [unread for each in hours for unread in _read_old(con, store, [each])]
    return []


def _contents(con: duckdb.DuckDBPyConnection) -> dict[str, _Content]:
    feeds: dict[str, dict[str, int]] = {}
    for hour, feed, rows in con.execute(
        f"select match_hour, feed, count(*) from {_OUT} group by all order by all"
    ).fetchall():
        feeds.setdefault(hour, {})[feed] = rows
    found = con.execute(f"select match_hour, count(*), {_DIGEST} from {_OUT} group by 1").fetchall()
    return {hour: _Content(rows, f"{int(digest):016x}", feeds[hour]) for hour, rows, digest in found}


def _changes(hour: Hour, content: _Content) -> bool:
    return hour.before is None or hour.lost or _differs(hour.before, content)


def _differs(before: BuildReceipt, content: _Content) -> bool:
    return (before.rows, before.content) != (content.rows, content.digest)


def _written(con: duckdb.DuckDBPyConnection, place: Workplace, hours: Sequence[str]) -> dict[str, Path]:
    """Write the outgoing rows of some hours, each into a file; return them by hour."""
    out = place.path / "out"
    con.execute(f"create or replace temp table changed as select unnest({texts(hours)}) as match_hour")
    con.execute(
        f"copy (select {matches.NAMES}, match_hour[:10] as date, match_hour[12:] as hour from {_OUT}"
        f" semi join changed using (match_hour) order by match_hour, time_dt, match_id)"
        f" to {literal(str(out))} (format parquet, compression zstd, partition_by (date, hour),"
        " filename_pattern 'part', overwrite_or_ignore)"
    )
    found = {
        ledger.hour_text(hour): path
        for path in out.glob("date=*/hour=*/*.parquet")
        if (hour := paths.hour_of(path.as_posix()))
    }
    return {hour: path for hour, path in found.items() if hour in set(hours)}


def _receipt(
    indicators: Indicators,
    sought: Sought,
    part: search.Part,
    hour: Hour,
    content: _Content,
    path: Path | None,
    changed: bool,
) -> BuildReceipt:
    """Return what the ledger says of an hour: of one with files that failed, that it has to be searched again."""
    before, failed = hour.before, [key for key in hour.files if key in part.failed]
    if before is None or sought.whole:
        inputs = inputs_of({key: each for key, each in hour.files.items() if key not in part.failed})
        context = context_of(indicators, sought, before)
    else:
        inputs = before.inputs
        context = before.context if failed else context_of(indicators, sought, before)
    if before is not None and not changed:
        return msgspec.structs.replace(before, inputs=inputs, mapping=MATCHING, context=context)
    return BuildReceipt(
        model=matches.TABLE,
        source="",
        table=matches.TABLE,
        hour=hour.hour,
        rows=content.rows,
        bytes=path.stat().st_size if path else 0,
        inputs=inputs,
        mapping=MATCHING,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        file=matches.file_of(ledger.hour(hour.hour)) if path else "",
        counts=dict(content.feeds),
        context=context,
        content=content.digest,
        digest=ledger.digest_of(path),
        same=SameRows(rows=before.rows_mark, build=mark(before)) if before and not _differs(before, content) else None,
    )


def _publish(
    store: Store,
    place: Workplace,
    part: search.Part,
    hours: Sequence[Hour],
    receipts: Mapping[str, BuildReceipt],
    files: Mapping[str, Path],
) -> list[str]:
    """Publish the hours of which nothing changed since they were read; return the others.

    A table that was built anew, or whose rows were erased, meanwhile, has other files than were searched.
    """
    left: list[str] = []

    def change() -> Change:
        left.clear()
        days = {ledger.hour(each.hour).date() for each in hours}
        now = {hour: each for day in days for hour, each in build_receipts.day_of(store, matches.TABLE, day).items()}
        held = store.infos(part.held)
        valid: list[str] = []
        for each in hours:
            same = all(key in part.failed or held[key] == part.held[key] for key in each.files)
            (valid if same and now.get(each.hour) == each.before else left).append(each.hour)
        keys = {hour: matches.file_of(ledger.hour(hour)) for hour in valid}
        news = [receipts[hour] for hour in valid if receipts[hour] != now.get(hour)]
        return Change(
            moves=tuple((place.key_of(files[hour]), keys[hour]) for hour in valid if hour in files),
            deletes=tuple(keys[hour] for hour in valid if not receipts[hour].file),
            receipts=tuple(build_receipts.merged_days(store, matches.TABLE, news)),
        )

    publish(store, change)
    return left
