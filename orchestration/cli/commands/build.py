"""The command that builds what is stale."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from ingest.contracts import load_contracts
from lake import ledger
from lake.base.errors import warn_once
from lake.build.reasons import Due
from orchestration.cli.app import (
    First,
    Json,
    Last,
    app,
    contract,
    err,
    hour_range,
    lake,
    number,
    print_json,
    progress,
    say,
    settings,
)
from orchestration.dbt.project import load_project
from orchestration.dbt.run import Built, would_build
from orchestration.dbt.run import build as build_stale
from orchestration.steps.feeds import FEED_PROBLEMS, load_configured, load_databases
from orchestration.steps.generic_models import make_missing_models


@app.command()
def build(
    first: First = None,
    last: Last = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources.")] = None,
    again: Annotated[bool, typer.Option(help="Build also what is not stale.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be built, and why, and build nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Build what is stale: normalise landed events to OCSF, then the marts of gold. Without arguments: all of it."""
    wanted = [contract(name).source for name in source] if source else sorted(load_contracts())
    store, hours = lake(), hour_range(first, last)
    landed = set(ledger.sources(store))
    lacking = make_missing_models(each for each in wanted if each in landed)
    for name, why in lacking.items():
        err.print(f"{name}: its events are landed, and not published: {why}", style="red", soft_wrap=True)
    if dry_run:
        _report_due(would_build(store, wanted, *hours, again=again), json)
        return
    load_reference(quiet=json)
    with progress("building", hidden=json) as tell:
        done = build_stale(settings(), store, wanted, *hours, again=again, told=tell)
    _report_build(done, json)
    project = load_project()
    left_out = [seed for seed in project.seeds.values() if seed.problems]
    for seed in left_out:
        warn_once(seed.sentence)  # a run has told of those that it read
    if lacking or done.repaired or left_out or project.problems:  # told on stderr, the last when it was read
        raise typer.Exit(1)


def load_reference(quiet: bool = False) -> None:
    """Load the configured GeoIP databases and snapshots of feeds that are not loaded yet; say when there are none.

    Feeds that ask an API are not asked. A feed that cannot be loaded stops no build: events get what it said before.
    """
    used, store = settings(), lake()
    receipts, failed = load_databases(used, store)
    for why in failed.values():
        err.print(f"GeoIP: {why}; events get what was loaded before", style="yellow", markup=False, soft_wrap=True)
    if not receipts and not failed and not quiet:
        err.print("no GeoIP database is configured (geoip.city, geoip.asn): locations stay empty", style="yellow")
    for name in [name for name, given in used.reference.feeds.items() if given.path]:
        try:
            for loaded in load_configured(used, store, name):
                if not quiet:
                    err.print(f"loaded {name} as of {loaded.receipt.as_of}Z: {loaded.receipt.changes:,} rows changed")
        except FEED_PROBLEMS as problem:
            told = f"feed {name} was not loaded, and events get what it said before: {problem}"
            err.print(told, style="yellow", markup=False, soft_wrap=True)


def _report_build(done: Built, json: bool) -> None:
    if json:
        kept_out = {source: len(found) for source, found in done.kept_out.items()}
        print_json(
            {
                "hours": done.hours,
                "marts": done.marts,
                "models": done.models,
                "unprocessable": kept_out,
                "repaired": {model: each.rows for model, each in done.repaired.items()},
            }
        )
    elif not done.hours and not done.marts:
        say("nothing is stale")
    else:
        for source, hours in sorted(done.hours.items()):
            say(f"{source}: {_span(hours)}")
        for mart, hours in sorted(done.marts.items()):
            say(f"gold.{mart}: {_span(hours)}")
        say(f"{number(len(done.models), 'table')} built")


def _report_due(due: Due, json: bool) -> None:
    """Print what a build would do; in JSON the keys of a build, and `if_changed`, `retired` and `reasons` besides."""
    if json:
        models = sorted({each.table for each in due.reasons} - due.retired.keys())
        print_json({**asdict(due), "models": models})
        return
    by_name: dict[str, dict[tuple[tuple[str, ...], str], list[str]]] = {}
    for each in due.reasons:
        table, _, source = each.table.partition("__")
        by_name.setdefault(source or f"gold.{table}", {}).setdefault((each.hours, each.why), []).append(table)
    groups: dict[tuple[object, ...], list[str]] = {}  # marts of which the same is said stand in one line
    for name, reasons in by_name.items():
        groups.setdefault(("" if name.startswith("gold.") else name, *reasons), []).append(name)
    for names in groups.values():
        reasons = by_name[names[0]]
        say(f"{_listed(names)}: {_span(sorted({hour for of, _ in reasons for hour in of}))}")
        for (of, why), tables in reasons.items():
            of_tables = "" if names[0].startswith("gold.") else f" of {_listed(tables)}"
            say(f"    {number(len(of), 'hour')}{of_tables}: {why}")
    sources, marts = (sum(map(len, of.values())) for of in (due.hours, due.marts))
    more = f"{number(sources, 'event hour')} of sources and {marts:,} of marts are stale; nothing was built"
    say(more if due.reasons else "nothing is stale")


def _listed(tables: Sequence[str]) -> str:
    return ", ".join(tables[:3]) + (f" and {len(tables) - 3} more tables" if len(tables) > 3 else "")


def _span(hours: Sequence[str]) -> str:
    return f"{number(len(hours), 'event hour')}, {hours[0]}" + (f" to {hours[-1]}" if len(hours) > 1 else "")
