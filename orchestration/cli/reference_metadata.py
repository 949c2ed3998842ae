"""What the commands of the reference tables say: loads, feeds and their age, the history of one thing.

What belongs here: words and rows of tables. What does not: loading, or looking things up.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.reference.changes import LAST
from ingest.reference.feeds import FULL, newest_load, newest_loads
from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.geoip.versions import read_receipts
from ingest.reference.history import Statement
from lake.storage.store import Store
from orchestration.cli.output import err, print_json, say
from orchestration.settings import ReferenceFeed, Settings
from orchestration.steps.feeds import Loaded, feed_of

MOST_REASONS_TOLD = 3


def tell_loads(done: dict[str, list[Loaded]], failed: dict[str, str], json: bool) -> None:
    """Tell what loading the feeds did: by feed its loads, and why one failed."""
    if json:
        told = {name: [each.receipt for each in loads] for name, loads in done.items()}
        print_json({"loaded": told, "failed": failed})
        return
    for name, loads in done.items():
        for each in loads:
            _tell_load(each)
        if not loads and name not in failed:
            say(f"{name}: nothing new")
    for name, why in failed.items():
        err.print(f"{name}:", why, style="red", markup=False, soft_wrap=True)


def _tell_load(loaded: Loaded) -> None:
    told = loaded.receipt
    where = f" ({loaded.snapshot.name})" if loaded.snapshot.place else ""
    if loaded.is_news:
        kinds = ("opened", "changed", "closed", "extended", "unchanged", "duplicates")
        counts = ", ".join(f"{getattr(told, kind):,} {kind}" for kind in kinds if getattr(told, kind))
        say(f"{told.feed} as of {shown(told.newest)}{where}: {counts or 'no entry'}")
    else:
        same = f"nothing changed, {told.unchanged:,} entries are as they were"
        say(f"{told.feed} as of {shown(told.newest)}{where}: {same}")
    reasons = sorted(told.rejected.items(), key=lambda each: -each[1])
    for reason, pieces in reasons[:MOST_REASONS_TOLD]:
        say(f"  {pieces:,} rejected: {reason}", style="yellow")
    if len(reasons) > MOST_REASONS_TOLD:
        say(f"  … and {len(reasons) - MOST_REASONS_TOLD} more reasons", style="yellow")
    if told.unusable:
        say(f"  {told.unusable:,} names or addresses cannot be joined by; their entries were loaded", style="yellow")
    if reasons or told.unusable:
        say(f"  they are kept: headwater reference rejects {told.feed}", style="yellow")
    for why, pieces in told.skipped.items():
        say(f"  {pieces:,} passed over: {why}")


def shown(at: datetime) -> str:
    """Return a time (naive UTC) as people read it."""
    if at >= LAST:
        return "open"
    return at.isoformat(" ", "minutes" if not (at.second or at.microsecond) else "seconds")


def feed_rows(used: Settings, store: Store) -> Iterable[dict[str, Any]]:
    """Yield a row for every feed of the settings or the lake, and for the newest of each GeoIP database."""
    now = datetime.now(UTC).replace(tzinfo=None)
    seen = set()
    for name, given in used.reference.feeds.items():
        seen.add((given.table, name))
        yield _feed(name, given, store, now)
    for told in newest_loads(store):
        if (told.table, told.feed) not in seen:
            yield _feed(told.feed, None, store, now, told.table)
    for table in GEOIP_TABLES:
        for receipt in sorted(read_receipts(store, table), key=lambda each: each.built_at)[-1:]:
            rows = sum(receipt.ranges.values())
            age = now - receipt.built_at
            yield {
                **dict.fromkeys(("mode", "loaded_at", "max_age_hours")),
                "feed": receipt.database_type, "table": table, "format": "mmdb", "provider": receipt.database_type,
                "rows_open": rows, "rows": rows, "version": receipt.version, "as_of": receipt.built_at,
                "age_hours": _hours(age), "too_old": False,
            }  # fmt: skip


def _feed(name: str, given: ReferenceFeed | None, store: Store, now: datetime, table: str = "") -> dict[str, Any]:
    told = newest_load(store, given.table if given else table, name)
    most = given.max_age_hours if given else None
    age = now - told.newest if told else None
    return {
        "feed": name,
        "table": given.table if given else table,
        "format": given.format if given else told.format if told else "",
        "mode": feed_of(name, given).mode if given else told.mode if told else FULL,
        "provider": (given.provider if given else "") or (told.provider if told else name),
        "rows_open": told.rows_open if told else None,
        "rows": told.rows if told else None,
        "version": told.version if told else "not loaded",
        "as_of": told.newest if told else None,
        "age_hours": _hours(age) if age is not None else None,
        "loaded_at": told.loaded_at if told else None,
        "max_age_hours": most,
        "too_old": most is not None and age is not None and age > timedelta(hours=most),
    }


def _hours(age: timedelta) -> float:
    return round(age / timedelta(hours=1), 1)


def cell(value: Any) -> Any:
    """Return a value as a table shows it."""
    return shown(value) if isinstance(value, datetime) else value


def tell_statement(each: Statement) -> None:
    """Tell what one feed says of one thing for a time."""
    of = "" if each.value in ("", each.entry) else f" ({each.value})"
    by = "" if each.provider == each.feed else f" of {each.provider}"
    end = "today" if each.valid_to >= LAST else shown(each.valid_to)
    say(f"{each.feed}{by}: {each.entry}{of}, {shown(each.valid_from)} to {end}", style="bold")
    closed = f", gone or changed since {shown(each.closed_at)}" if each.closed_at else ""
    say(f"  learned {shown(each.learned_at)}{closed}, version {each.version}")
    for name, value in each.says.items():
        say(f"  {name}: {', '.join(value) if isinstance(value, list) else value}")
