"""Commands of the reference tables: reference load, list, show, rejects."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from ingest.reference.feeds import PARTIAL, Feed
from ingest.reference.formats import checked_options, formats, reader_of
from ingest.reference.geoip.records import TABLES as GEOIP_TABLES
from ingest.reference.geoip.records import GeoIpError
from ingest.reference.geoip.versions import read_receipts
from ingest.reference.history import history_of
from ingest.reference.tables import TABLES
from ingest.reference.views import REJECT_COLUMNS, reference_views
from lake.base.sql import literal, quoted
from lake.storage import duck
from lake.storage.paths import BadName
from lake.storage.store import Store
from orchestration.cli.app import Json, app
from orchestration.cli.context import lake, settings
from orchestration.cli.output import NotFound, UsageError, err, print_json, print_table, say
from orchestration.cli.reference_metadata import cell, feed_rows, shown, tell_loads, tell_statement
from orchestration.settings import Settings
from orchestration.steps.feeds import (
    FEED_PROBLEMS,
    Loaded,
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
    if file is not None:
        if len(feeds or ()) != 1:
            raise UsageError("--file needs the name of one feed: headwater reference load NAME --file FILE")
        name = (feeds or [""])[0]
        given = _given(used, name, table, format, provider, partial, option or [])
        done, failed = _load_all({name: _of_file(used, store, name, given, file, as_of, force)})
    else:
        names = _known(used, feeds) if feeds else list(used.reference.feeds)
        done, failed = _load_all({name: load_configured(used, store, name, force=force, anew=anew) for name in names})
        if not feeds:
            failed |= _load_geoip(used, store, json)
            if not names and not json and not any(used.geoip.databases.values()):
                say("no feed is configured: set reference.feeds, or load a file with --file, --table and --format")
    tell_loads(done, failed, json)
    if failed:
        raise typer.Exit(1)


def _known(used: Settings, names: list[str]) -> list[str]:
    for name in names:
        if name not in used.reference.feeds:
            known = ", ".join(used.reference.feeds) or "none"
            raise UsageError(f"no feed {name!r} in the settings (reference.feeds has: {known}); others need --file")
    return list(dict.fromkeys(names))


def _given(
    used: Settings, name: str, table: str | None, format: str | None, provider: str, partial: bool, option: list[str]
) -> tuple[Feed, dict[str, object]]:
    """Return the feed that a file is loaded into, and its format's options: of the settings, or as the call says."""
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
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
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


def _load_all(wanted: dict[str, Iterable[Loaded]]) -> tuple[dict[str, list[Loaded]], dict[str, str]]:
    """Load feed by feed; one that fails keeps no other from being loaded."""
    done: dict[str, list[Loaded]] = {name: [] for name in wanted}
    failed: dict[str, str] = {}
    for name, steps in wanted.items():
        with err.status(f"loading {name} …"):
            try:
                for each in steps:
                    done[name].append(each)
            except FEED_PROBLEMS as problem:
                failed[name] = str(problem)
    return done, failed


def _load_geoip(used: Settings, store: Store, quiet: bool) -> dict[str, str]:
    known = {each.key for table in GEOIP_TABLES for each in read_receipts(store, table)}
    try:
        found = load_databases(used, store)
    except (GeoIpError, OSError) as problem:
        return {"geoip": str(problem)}
    for each in found:
        if each.key not in known and not quiet:
            say(f"{each.table} of {shown(each.built_at)} ({each.source_file}): {each.networks:,} networks")
    return {}


@reference.command("list")
def list_command(json: Json = False) -> None:
    """List the feeds: what is loaded of each, and how old it is."""
    rows = [*feed_rows(settings(), lake())]
    if json:
        print_json(rows)
    elif rows:
        heads = ("feed", "table", "format", "mode", "rows_open", "version", "as_of", "age_hours")
        print_table(
            "", [name.replace("_", " ") for name in heads], [[cell(row[name]) for name in heads] for row in rows]
        )
        for row in rows:
            if row["too_old"]:
                advice = f"run `headwater reference load {row['feed']}`"
                say(f"{row['feed']}: older than {row['max_age_hours']:g} hours; {advice}")
    else:
        say("no feed is configured or loaded: set reference.feeds (orchestration/deploy/headwater.example.yml)")


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
        tell_statement(each)


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
        say(f"{row['feed']} as of {shown(row['as_of'])}, {row['where']}: {row['reason']}", style="bold")
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
