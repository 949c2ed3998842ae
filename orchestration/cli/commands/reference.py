"""Commands of the reference tables: reference load, list, show, rejects."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.reference.changes import LAST
from ingest.reference.feeds import FULL, PARTIAL, Feed, newest_load, newest_loads
from ingest.reference.formats import checked_options, formats, reader_of
from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.geoip.versions import read_receipts
from ingest.reference.history import Statement, history_of
from ingest.reference.tables import TABLES
from ingest.reference.views import REJECT_COLUMNS, reference_views
from lake.base import strict_yaml
from lake.base.errors import WRONG_CALL
from lake.base.sql import literal, quoted
from lake.base.strict_yaml import BadYaml
from lake.storage import duck
from lake.storage.paths import BadName
from lake.storage.store import Store
from orchestration.cli.app import (
    Json,
    NotFound,
    UsageError,
    app,
    err,
    lake,
    number,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.settings import ReferenceFeed, Settings
from orchestration.steps.feeds import (
    FEED_PROBLEMS,
    Loaded,
    duration,
    feed_of,
    load_configured,
    load_databases,
    load_snapshot,
    newer_snapshots,
)

reference = typer.Typer(
    no_args_is_help=True, help="Context with validity times: indicators, warning lists, assets, identities."
)
app.add_typer(reference, name="reference")

_MOST_REASONS = 3
Feeds = Annotated[
    list[str] | None, typer.Argument(help="Only these feeds; none named: all of the settings, and GeoIP.")
]


@reference.command("load")
def load_command(
    feeds: Feeds = None,
    file: Annotated[str | None, typer.Option(help="Load this file, folder or glob into the one feed named.")] = None,
    table: Annotated[str | None, typer.Option(help="Of a feed that is not in the settings: its table.")] = None,
    format: Annotated[str | None, typer.Option("--format", help="… how it is written.")] = None,
    provider: Annotated[str, typer.Option(help="… who makes it.")] = "",
    partial: Annotated[bool, typer.Option("--partial", help="… a file holds only what was added or changed.")] = False,
    option: Annotated[list[str] | None, typer.Option(help="… key=value for the format; may be repeated.")] = None,
    as_of: Annotated[str | None, typer.Option(help="When the file was obtained (UTC); else as its name says.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also if it would close most of the feed's rows.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="All snapshots that are there, from the first, in place of what is loaded.")
    ] = False,
    json: Json = False,
) -> None:
    """Load what is new of the feeds; the same content twice changes nothing."""
    used, store = settings(), lake()
    if file is None and (table or format or as_of or option or provider or partial):
        raise UsageError("--table, --format, --provider, --partial, --option and --as-of describe a --file")
    if anew and (file is not None or not feeds):
        raise UsageError("--anew needs the names of feeds of the settings: it forgets what their snapshots do not tell")
    absent = False
    if file is not None:
        if len(feeds or ()) != 1:
            raise UsageError("--file needs the name of one feed: headwater reference load NAME --file FILE")
        name = (feeds or [""])[0]
        given = _given(used, name, table, format, provider, partial, option or [])
        done, failed = _load_all({name: _of_file(used, store, name, given, file, as_of, force)}, json)
    else:
        names = _known(used, feeds) if feeds else list(used.reference.feeds)
        done, failed = _load_all(
            {name: load_configured(used, store, name, force=force, anew=anew) for name in names}, json
        )
        if not feeds:
            failed |= _load_geoip(used, store, json)
            absent = not (names or used.lacks("reference.feeds") or any(used.geoip.databases.values()))
    _tell_loads(done, failed, json)
    if absent:
        raise UsageError("no feed is set: set reference.feeds, or load a file with --file, --table and --format")
    left_out = sum(sum(each.receipt.rejected.values()) for loads in done.values() for each in loads)
    if left_out and not json:
        say(f"{number(left_out, 'row')} left out of the feeds, all others are loaded: correct them at their source")
    if failed or left_out or (not feeds and used.lacks("reference.feeds")):
        raise typer.Exit(1)


def _known(used: Settings, names: list[str]) -> list[str]:
    for name in names:
        used.refuse(f"reference.feeds.{name}")
        if name not in used.reference.feeds:
            known = ", ".join(used.reference.feeds) or "none"
            raise UsageError(f"no feed {name!r} in the settings (reference.feeds has: {known}); others need --file")
    return list(dict.fromkeys(names))


def _given(
    used: Settings, name: str, table: str | None, format: str | None, provider: str, partial: bool, option: list[str]
) -> tuple[Feed, dict[str, object]]:
    """Return the feed that a file is loaded into, and its format's options: of the settings, or as the call says."""
    used.refuse(f"reference.feeds.{name}")
    known = used.reference.feeds.get(name)
    if known is not None:
        if table not in (None, known.table) or format or provider or partial or option:
            raise UsageError(f"feed {name} is described by the settings; leave out --table, --format and the like")
        if known.path is None:
            raise UsageError(f"feed {name} is read from an API ({known.format}), not from files")
        return feed_of(name, known), known.options
    if table is None or format is None:
        raise UsageError(f"feed {name} is not in the settings: --table ({', '.join(TABLES)}) and --format are needed")
    if table not in TABLES:
        raise UsageError(f"no table {table!r} (known: {', '.join(TABLES)})")
    if format not in formats() or reader_of(format).READS != "file":
        raise UsageError(f"{format!r} is no format of files (known: {', '.join(_of_files())})")
    try:
        mode = PARTIAL if partial else reader_of(format).MODE
        return Feed(name, table, provider, mode, format), dict(_option(each) for each in option)
    except BadName as problem:
        raise UsageError(str(problem)) from None


def _of_files() -> list[str]:
    return [name for name in formats() if reader_of(name).READS == "file"]


def _option(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--option {text!r}: expected key=value")
    try:
        return key, strict_yaml.load(value)
    except BadYaml:
        return key, value


def _of_file(
    used: Settings,
    store: Store,
    name: str,
    given: tuple[Feed, dict[str, object]],
    file: str,
    as_of: str | None,
    force: bool,
) -> Iterable[Loaded]:
    feed, own = given
    options = checked_options(feed.format, feed.table, own)
    place = file if file.startswith("s3://") else str(Path(file).expanduser())
    for snapshot in newer_snapshots(used, store, feed, place, _time(as_of) if as_of else None):
        yield load_snapshot(used, store, feed, snapshot, options, force=force)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--as-of {text!r} is no time (expected 2026-03-02 or 2026-03-02T05:30:00Z, UTC)") from None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _load_all(wanted: dict[str, Iterable[Loaded]], hidden: bool) -> tuple[dict[str, list[Loaded]], dict[str, str]]:
    """Load feed by feed; one that fails keeps no other from being loaded."""
    done: dict[str, list[Loaded]] = {name: [] for name in wanted}
    failed: dict[str, str] = {}
    for name, steps in wanted.items():
        with progress(f"loading {name}", hidden) as tell:
            try:
                for each in steps:
                    done[name].append(each)
                    tell(f"loading {name}: snapshots", len(done[name]))
            except FEED_PROBLEMS as problem:
                failed[name] = str(problem)
    return done, failed


def _load_geoip(used: Settings, store: Store, quiet: bool) -> dict[str, str]:
    known = {each.key for table in GEOIP_TABLES for each in read_receipts(store, table)}
    found, failed = load_databases(used, store)
    for each in found:
        if each.key not in known and not quiet:
            say(f"{each.table} of {_shown(each.built_at)} ({each.source_file}): {each.networks:,} networks")
    return {f"geoip {path.name}": why for path, why in failed.items()}


@reference.command("list")
def list_command(json: Json = False) -> None:
    """List the feeds: what is loaded of each, and how old it is."""
    rows = [*_feed_rows(settings(), lake())]
    if json:
        print_json(rows)
    elif rows:
        heads = ("feed", "table", "format", "mode", "rows_open", "version", "as_of", "age")
        shown = [row | {"age": _age(row["age_hours"])} for row in rows]
        print_table(
            "", [name.replace("_", " ") for name in heads], [[_cell(row[name]) for name in heads] for row in shown]
        )
        for row in rows:
            if row["too_old"]:
                advice = f"run `headwater reference load {row['feed']}`"
                say(f"{row['feed']}: older than {duration(timedelta(hours=row['max_age_hours']))}; {advice}")
    else:
        say("no feed is configured or loaded: set reference.feeds (orchestration/deploy/headwater.example.yml)")
    if not rows:
        raise typer.Exit(WRONG_CALL)


@reference.command("show")
def show(
    table: Annotated[str, typer.Argument(help=f"One of {', '.join(TABLES)}, geoip_….")],
    value: Annotated[str, typer.Argument(help="An address, domain, hash, …; a host or user name, an id.")],
    json: Json = False,
) -> None:
    """Show the history of one thing: who said what of it, from when to when, and when that was learned."""
    try:
        found = history_of(lake(), table, value)
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    if json:
        print_json([asdict(each) for each in found])
        return
    if not found:
        raise NotFound(f"nothing is known of {value!r} in reference.{table}")
    for each in found:
        _tell_statement(each)


@reference.command("rejects")
def rejects(
    feed: Annotated[str | None, typer.Argument(help="Only this feed.")] = None,
    limit: Annotated[int, typer.Option(help="How many pieces.", min=1)] = 20,
    json: Json = False,
) -> None:
    """Show what feeds gave that is no entry, newest first: why, where, and the piece itself."""
    rows, total = _rejects(lake(), feed, limit)
    if json:
        print_json({"total": total, "rejects": rows})
        return
    for row in rows:
        say(f"{row['feed']} as of {_shown(row['as_of'])}, {row['where']}: {row['reason']}", style="bold")
        say(f"  {row['text']}")
    if total > len(rows):
        say(f'… and {total - len(rows):,} more: --limit, or headwater query "from reference.rejects"')
    if not rows:
        say("nothing was rejected" + (f" of {feed}" if feed else ""))


def _rejects(store: Store, feed: str | None, limit: int) -> tuple[list[dict[str, Any]], int]:
    where = f" where feed = {literal(feed)}" if feed else ""
    with duck.connect(store) as con:
        con.execute(f"create view rejects as {reference_views(store)['rejects']}")
        total = con.execute(f"select count(*) from rejects{where}").fetchone() or (0,)
        columns = ", ".join(map(quoted, REJECT_COLUMNS))
        found = con.execute(f"select {columns} from rejects{where} order by as_of desc, feed limit {limit}").fetchall()
    return [dict(zip(REJECT_COLUMNS, row, strict=True)) for row in found], int(total[0])


def _tell_loads(done: dict[str, list[Loaded]], failed: dict[str, str], json: bool) -> None:
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
        err.print(f"{name}:", why, style="red", soft_wrap=True)


def _tell_load(loaded: Loaded) -> None:
    told = loaded.receipt
    where = f" ({loaded.snapshot.name})" if loaded.snapshot.place else ""
    if loaded.is_news:
        kinds = ("opened", "changed", "closed", "extended", "unchanged", "duplicates")
        counts = ", ".join(f"{getattr(told, kind):,} {kind}" for kind in kinds if getattr(told, kind))
        say(f"{told.feed} as of {_shown(told.newest)}{where}: {counts or 'no entry'}")
    else:
        same = f"nothing changed, {told.unchanged:,} entries are as they were"
        say(f"{told.feed} as of {_shown(told.newest)}{where}: {same}")
    reasons = sorted(told.rejected.items(), key=lambda each: -each[1])
    for reason, pieces in reasons[:_MOST_REASONS]:
        say(f"  {pieces:,} rejected: {reason}", style="yellow")
    if len(reasons) > _MOST_REASONS:
        say(f"  … and {len(reasons) - _MOST_REASONS} more reasons", style="yellow")
    if told.unusable:
        say(f"  {told.unusable:,} names or addresses cannot be joined by; their entries were loaded", style="yellow")
    if reasons or told.unusable:
        say(f"  they are kept: headwater reference rejects {told.feed}", style="yellow")
    for why, pieces in told.skipped.items():
        say(f"  {pieces:,} passed over: {why}")


def _shown(at: datetime) -> str:
    """Return a time (naive UTC) as people read it."""
    if at >= LAST:
        return "open"
    return at.isoformat(" ", "minutes" if not (at.second or at.microsecond) else "seconds")


def _feed_rows(used: Settings, store: Store) -> Iterable[dict[str, Any]]:
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


def _age(hours: float | None) -> str:
    told = "" if hours is None else duration(timedelta(hours=hours))
    return f"in {told}" if hours is not None and hours < 0 else told


def _hours(age: timedelta) -> float:
    return round(age / timedelta(hours=1), 1)


def _cell(value: Any) -> Any:
    """Return a value as a table shows it."""
    return _shown(value) if isinstance(value, datetime) else value


def _tell_statement(each: Statement) -> None:
    """Tell what one feed says of one thing for a time."""
    of = "" if each.value in ("", each.entry) else f" ({each.value})"
    by = "" if each.provider == each.feed else f" of {each.provider}"
    end = "today" if each.valid_to >= LAST else _shown(each.valid_to)
    say(f"{each.feed}{by}: {each.entry}{of}, {_shown(each.valid_from)} to {end}", style="bold")
    closed = f", gone or changed since {_shown(each.closed_at)}" if each.closed_at else ""
    say(f"  learned {_shown(each.learned_at)}{closed}, version {each.version}")
    for name, value in each.says.items():
        say(f"  {name}: {', '.join(value) if isinstance(value, list) else value}")
