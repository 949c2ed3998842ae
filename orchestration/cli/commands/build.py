"""The command that builds what is stale."""

from contextlib import nullcontext
from typing import Annotated

import typer

from ingest.contracts import load_contracts
from orchestration.cli.app import First, Json, Last, app, contract, err, hour_range, lake, out, print_json, settings
from orchestration.dbt.run import Built
from orchestration.dbt.run import build as build_stale
from orchestration.steps.feeds import FEED_PROBLEMS, load_configured, load_databases


@app.command()
def build(
    first: First = None,
    last: Last = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources.")] = None,
    again: Annotated[bool, typer.Option(help="Build also what is not stale.")] = False,
    json: Json = False,
) -> None:
    """Build what is stale: normalise landed events to OCSF, then the marts of gold. Without arguments: all of it."""
    wanted = [contract(name).source for name in source] if source else sorted(load_contracts())
    store = lake()
    load_reference(quiet=json)
    hours = hour_range(first, last)
    with err.status("building …") if not json else nullcontext():
        done = build_stale(settings(), store, wanted, *hours, again=again)
    _report_build(done, json)


def load_reference(quiet: bool = False) -> None:
    """Load the configured GeoIP databases and snapshots of feeds that are not loaded yet; say when there are none.

    Feeds that ask an API are not asked. A feed that cannot be loaded stops no build: events get what it said before.
    """
    used, store = settings(), lake()
    if not load_databases(used, store) and not quiet:
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
        print_json({"hours": done.hours, "marts": done.marts, "models": done.models})
    elif not done.hours and not done.marts:
        out.print("nothing is stale")
    else:
        for source, hours in sorted(done.hours.items()):
            out.print(f"{source}: {len(hours):,} event hours, {hours[0]} to {hours[-1]}")
        for mart, hours in sorted(done.marts.items()):
            out.print(f"gold.{mart}: {len(hours):,} event hours, {hours[0]} to {hours[-1]}")
        out.print(f"{len(done.models)} tables built")
