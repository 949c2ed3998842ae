"""The command that holds lists of indicators against the lake's past."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from lake.base.errors import WRONG_CALL
from lake.matching.match import Matched
from orchestration.cli.app import Json, UsageError, app, lake, print_json, print_table, progress, say, settings
from orchestration.steps.match import lists_loaded, match_lake

_SHOWN = 20


@app.command()
def match(
    feed: Annotated[
        list[str] | None, typer.Option("--feed", help="Only new indicators of this list; repeatable.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", help="Days before it was learned that an indicator is searched for.", min=0.01),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Search every hour anew, not only what is new.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be found, and publish nothing.")] = False,
    json: Json = False,
) -> None:
    """Hold new indicators against events of the past, and new events against indicators: gold.threat_matches."""
    store, used = lake(), settings()
    lists = lists_loaded(store)
    unknown = sorted(set(feed or ()) - set(lists))
    if unknown:
        raise UsageError(f"no list {unknown[0]!r} is loaded; there are {', '.join(sorted(lists)) or 'none'}")
    with progress("reading the lists", hidden=json) as tell:
        done = match_lake(
            store,
            used,
            feeds=feed or (),
            days=days,
            again=again,
            dry_run=dry_run,
            report=lambda far: tell(f"{far.rows:,} matches; hours searched", far.hours),
        )
    if json:
        print_json({**asdict(done), "lists": lists, "dry_run": dry_run})
    else:
        _tell(done, lists, dry_run)
    if done.failed:
        raise typer.Exit(1)
    if not lists:
        raise typer.Exit(WRONG_CALL)


def _tell(done: Matched, lists: dict[str, str], dry_run: bool) -> None:
    if done.found:
        print_table("", ("list", "new matches"), [(name, rows) for name, rows in sorted(done.found.items())])
    if not lists:
        say("no list of indicators is loaded: `headwater reference load`")
    else:
        say(
            f"{done.sought:,} of {done.indicators:,} indicators × {done.hours:,} event hours ({done.files:,} tables,"
            f" {done.observables:,} observables) in {done.seconds:.1f} s; {done.current:,} hours have nothing new"
        )
        say(f"{done.rows:,} new matches{' would be found' if dry_run else ' in gold.threat_matches'}")
    if done.passed_over:
        say(f"{done.passed_over:,} indicators are of kinds that events have no observables of, and were not sought")
    _tell_lines(list(done.mended.values()))
    _tell_lines([f"{why}. It was not searched, and will be with the next run" for why in done.failed.values()])
    if done.left:
        say(f"{len(done.left):,} hours changed meanwhile and wait for the next run")


def _tell_lines(lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        say(line)
    if len(lines) > _SHOWN:
        say(f"… and {len(lines) - _SHOWN:,} more; --json has all")
