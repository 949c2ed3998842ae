"""Publishing what a search found: the hours of `gold.threat_matches` and their receipts, as one act.

What belongs here: what an hour holds afterwards, and not publishing over what changed meanwhile. What does not:
searching.

A match stands under an id that the same event and indicator always give. So a search that runs again, or after another,
adds nothing twice, and an hour that was searched in pieces holds the rows of one that was searched at once. An hour of
which nothing changed keeps its file and the time it was built: nothing that reads it becomes stale.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from lake import ledger
from lake.base.sql import literal, texts
from lake.ledger.receipts import BuildReceipt
from lake.matching import matches
from lake.matching.events import FOUND
from lake.matching.index_repair import Unreadable, reading
from lake.matching.indicators import Indicators, Sought
from lake.matching.planning import MATCHING, Hour, context_of, inputs_of
from lake.matching.search import Part
from lake.storage import paths
from lake.storage.parquet import typed_select
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

_OLD, _OUT = "old_match", "out_match"  # rows with the hour they belong to (`match_hour`)
_DIGEST = "sum(md5_number_lower(match_id || valid_to::varchar)::hugeint) % 18446744073709551616"


@dataclass
class Published:
    """What publishing did: new matches by feed, hours that changed meanwhile, hours whose file cannot be read."""

    new: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    damaged: list[Hour] = field(default_factory=list)


@dataclass(frozen=True)
class _Content:
    rows: int = 0
    digest: str = ""
    feeds: Mapping[str, int] = field(default_factory=dict)


def publish_found(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    place: Workplace,
    indicators: Indicators,
    sought: Sought,
    part: Part,
    dry_run: bool = False,
) -> Published:
    """Publish the rows of `found` and what the searched hours keep; with `dry_run`, only count what would be new."""
    done = Published(damaged=_gather(con, store, sought, part))
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


def _gather(con: duckdb.DuckDBPyConnection, store: Store, sought: Sought, part: Part) -> list[Hour]:
    """Make the tables of old and of outgoing rows; return the hours whose old rows are needed and cannot be read."""
    hit = {row[0] for row in con.execute(f"select distinct match_hour from {FOUND}").fetchall()}
    touched = [each for each in part.hours if each.before and each.before.file and (sought.whole or each.hour in hit)]
    con.execute(f"create or replace temp table {_OLD} as select * from {FOUND} limit 0")
    unread = _read_old(con, store, touched)
    damaged = [] if sought.whole else unread
    gone = [each.hour for each in damaged]
    con.execute(f"create or replace temp table damaged as select unnest({texts(gone)}) as match_hour")
    failed = [slot for key in part.failed if (slot := _slot(part, key))]
    names = ("match_hour", "event_table", "event_source")
    listed = ", ".join(f"unnest({texts(slot[at] for slot in failed)}) as {name}" for at, name in enumerate(names))
    con.execute(f"create or replace temp table failed_file as select {listed}")
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


def _slot(part: Part, key: str) -> tuple[str, str, str] | None:
    found = [each.files[key] for each in part.hours if key in each.files]
    return (found[0].hour, found[0].table, found[0].source) if found else None


def _contents(con: duckdb.DuckDBPyConnection) -> dict[str, _Content]:
    feeds: dict[str, dict[str, int]] = {}
    for hour, feed, rows in con.execute(
        f"select match_hour, feed, count(*) from {_OUT} group by all order by all"
    ).fetchall():
        feeds.setdefault(hour, {})[feed] = rows
    found = con.execute(f"select match_hour, count(*), {_DIGEST} from {_OUT} group by 1").fetchall()
    return {hour: _Content(rows, f"{int(digest):016x}", feeds[hour]) for hour, rows, digest in found}


def _changes(hour: Hour, content: _Content) -> bool:
    before = hour.before
    return before is None or hour.lost or (before.rows, before.content) != (content.rows, content.digest)


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
    indicators: Indicators, sought: Sought, part: Part, hour: Hour, content: _Content, path: Path | None, changed: bool
) -> BuildReceipt:
    """Return what the ledger says of an hour: of one with files that failed, that it has to be searched again."""
    before, failed = hour.before, [key for key in hour.files if key in part.failed]
    searched = {key: each for key, each in hour.files.items() if key not in part.failed}
    stands = before is not None and not sought.whole
    kept = {} if before is None else before.context
    return BuildReceipt(
        model=matches.TABLE,
        source="",
        table=matches.TABLE,
        hour=hour.hour,
        rows=content.rows if changed or before is None else before.rows,
        bytes=path.stat().st_size if path else (0 if changed or before is None else before.bytes),
        inputs=before.inputs if stands and before else inputs_of(searched),
        mapping=MATCHING,
        built_at=datetime.now(UTC).isoformat(timespec="seconds") if changed or before is None else before.built_at,
        file=matches.file_of(ledger.hour(hour.hour)) if path else ("" if changed or before is None else before.file),
        counts=dict(content.feeds) if changed or before is None else before.counts,
        context=kept if failed and stands else context_of(indicators, sought, before),
        content=content.digest if changed or before is None else before.content,
    )


def _publish(
    store: Store,
    place: Workplace,
    part: Part,
    hours: Sequence[Hour],
    receipts: Mapping[str, BuildReceipt],
    files: Mapping[str, Path],
) -> list[str]:
    """Publish the hours of which nothing changed since they were read; return the others.

    A table that was built anew, or whose rows were erased, meanwhile, has other files than were searched.
    """
    left: list[str] = []

    def plan() -> Change:
        left.clear()
        now = _now(store, hours)
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
            receipts=tuple(ledger.with_builds(store, matches.TABLE, news)),
        )

    publish(store, plan)
    return left


def _now(store: Store, hours: Iterable[Hour]) -> dict[str, BuildReceipt]:
    days = {ledger.hour(each.hour).date() for each in hours}
    return {hour: each for day in days for hour, each in ledger.build_day(store, matches.TABLE, day).items()}
