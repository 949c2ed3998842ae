"""Commands for lookup providers: ask them about what events wait for, say how they stand."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ingest.lookups.ask import Asked, ask_pending
from ingest.lookups.attributes import unknown_attributes
from ingest.lookups.pending import LookupStatus, lookup_status
from ingest.lookups.provider import STATUS, Lookup
from lake.base.errors import WRONG_CALL
from lake.ocsf.attributes import declared_classes
from lake.storage.publish import sweep
from orchestration.cli.app import (
    Json,
    UsageError,
    app,
    err,
    lake,
    out,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.settings import lookups_of

_SHOWN = 20


@app.command()
def lookup(
    provider: Annotated[
        str | None, typer.Argument(help="A provider, by its name in the settings; or `status`: how all stand.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Ask about at most so many observables.", min=1)] = None,
    minutes: Annotated[float | None, typer.Option(help="Start no request after so many minutes.", min=0)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked, and ask nobody.")] = False,
    json: Json = False,
) -> None:
    """Ask providers about what events wait for, each observable once, within the budget; then build what is stale."""
    chosen, wrong = _chosen(None if provider == STATUS else provider)
    for line in wrong:
        err.print(line, style="red", soft_wrap=True)
    store = lake()
    if provider == STATUS or dry_run:
        _tell_standing([lookup_status(store, each, time.time(), limit or _SHOWN) for each in chosen], json, dry_run)
        if wrong or (dry_run and settings().lacks("lookups")):
            raise typer.Exit(1)
        if not chosen:
            raise typer.Exit(WRONG_CALL)
        return
    sweep(store)
    done = []
    with progress("asking", hidden=json) as tell:
        for each in chosen:
            seconds = None if minutes is None else minutes * 60
            told = ask_pending(store, each, limit, most_seconds=seconds, told=tell)
            done.append(told)
    _tell_asked(done, json)
    if not done and not settings().lacks("lookups"):
        raise typer.Exit(WRONG_CALL)
    if wrong or any(each.needs_look for each in done) or (provider is None and settings().lacks("lookups")):
        raise typer.Exit(1)


def _chosen(provider: str | None) -> tuple[Sequence[Lookup], Sequence[str]]:
    """Return the providers asked for that can be asked, and what is wrong with the others.

    Raises UsageError naming those there are, or what is wrong when none can be asked.
    """
    used = settings()
    used.refuse(f"lookups.{provider}")
    known = lookups_of(used)
    if provider is not None and provider not in known:
        raise UsageError(f"no lookup provider {provider!r} is set; there are {', '.join(sorted(known)) or 'none'}")
    chosen, wrong = [], []
    for each in (each for name, each in known.items() if provider in (None, name)):
        unknown = unknown_attributes(each.options.attributes, declared_classes())
        if not unknown:
            chosen.append(each)
            continue
        wrong.append(f"lookups.{each.name}.ask_about: {unknown[0]}; it is asked nothing until that is corrected")
    if wrong and not chosen:
        raise UsageError("; ".join(wrong))
    return chosen, wrong


def _tell_asked(done: Sequence[Asked], json: bool) -> None:
    if json:
        print_json([asdict(each) | {"left": each.left} for each in done])
        return
    if not done:
        out.print("no lookup provider is set (`lookups` in the settings)")
        return
    heads = ("provider", "waited", "answered", "known", "unknown", "refused", "requests", "left")
    print_table("", heads, [_row(each) for each in done])
    for each in done:
        for line in dict.fromkeys([*each.failures, each.stopped]):
            if line:
                say(line)
    if left := sum(each.left for each in done):
        say(f"{left:,} observables are not answered yet: their events are published, and say so")
    if sum(each.answered for each in done):
        say("run `headwater build`: it builds the hours whose events waited for these answers")


def _row(each: Asked) -> list[object]:
    counts = [each.by_status.get(status, 0) for status in ("known", "unknown", "refused")]
    return [each.provider, each.waiting, each.answered, *counts, each.requests, each.left]


def _tell_standing(found: Sequence[LookupStatus], json: bool, with_next: bool) -> None:
    if json:
        print_json([_told(each, with_next) for each in found])
        return
    if not found:
        out.print("no lookup provider is set (`lookups` in the settings)")
        return
    heads = ("provider", "type", "answers", "waiting", "events", "since", "left: minute", "day", "month")
    print_table("", heads, [_standing_row(each) for each in found], 1)
    for each in found:
        for line in each.said:
            say(line)
        if with_next and each.next:
            more = f" and {each.waiting - len(each.next):,} more" if each.waiting > len(each.next) else ""
            say(f"{each.provider} would be asked about: {', '.join(each.next)}{more}")


def _standing_row(each: LookupStatus) -> list[object]:
    left = ["no limit" if number is None else str(number) for number in each.left.values()]
    return [each.provider, each.kind, each.answers, each.waiting, each.events, each.since, *left]


def _told(each: LookupStatus, with_next: bool) -> dict[str, Any]:
    told = asdict(each) | {"said": each.said}
    return told if with_next else {name: value for name, value in told.items() if name != "next"}
