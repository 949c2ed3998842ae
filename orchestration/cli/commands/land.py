"""The command that brings events in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from ingest.contracts import Contract
from ingest.landing import LandingError, LandingSettings, land_files
from ingest.landing.land import Landed
from ingest.objects import VANISHED, Listing, list_places
from lake.storage.publish import sweep
from lake.storage.store import Store
from orchestration.cli.app import (
    Json,
    UsageError,
    app,
    contract,
    err,
    lake,
    number,
    out,
    print_json,
    progress,
    say,
    settings,
)
from orchestration.settings import ObjectSource, access_of, in_zone

_MOST_UNREAD = 10


@app.command()
def land(
    source: Annotated[str, typer.Argument(help="The source whose contract holds: see `headwater sources`.")],
    places: Annotated[
        list[str] | None, typer.Argument(help="Files, folders or s3://bucket/prefix, of any age.", metavar="PATH…")
    ] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Land what the source's queue announces.")] = False,
    again: Annotated[bool, typer.Option(help="Read objects again that have landed unchanged.")] = False,
    on_stall: Annotated[
        str, typer.Option(help="What a violation that stalls the batch does: stall, quarantine or null.")
    ] = "stall",
    json: Json = False,
) -> None:
    """Land files, folders and buckets: every record goes to bronze or to quarantine, and the receipt says how many."""
    if on_stall not in ("stall", "quarantine", "null"):
        raise UsageError(f"--on-stall {on_stall!r}: expected stall, quarantine or null")
    if queue == bool(places):
        raise UsageError("expected files, folders or s3://bucket/prefix, or --queue alone")
    used = settings()
    held = in_zone(used, contract(source))
    limits = LandingSettings(memory_bytes=used.memory_bytes, threads=used.threads, stalls_as=on_stall)
    store = lake()
    sweep(store)
    if queue:
        listing, done = _drained(held, store, limits)
    else:
        listing = _listed(held, places or [])
        with _progress(f"landing {source}", sum(each.size for each in listing.objects), hidden=json) as advance:
            try:
                done = land_files(held, listing.objects, store, limits, listing.ignored, advance, again)
            except LandingError as problem:
                if problem.landed or listing.refused:
                    _report_landing(source, listing, list(problem.landed), json)
                raise
    _report_landing(source, listing, done, json)
    counts = [each.counted() for each in done]
    read, quarantined = (sum(each[name] for each in counts) for name in ("read", "quarantined"))
    stalled = any(each.receipt.status == "stalled" for each in done)
    vanished = any(why == VANISHED for each in done if not each.unchanged for _, why in each.receipt.ignored)
    if (read and quarantined == read) or stalled or vanished or _unread(listing, done):
        raise typer.Exit(1)


def _listed(held: Contract, places: list[str]) -> Listing:
    try:
        return list_places(held, places, access_of(settings(), held.source))
    except (FileNotFoundError, ValueError) as problem:
        raise UsageError(str(problem)) from None


def _drained(held: Contract, store: Store, limits: LandingSettings) -> tuple[Listing, list[Landed]]:
    from ingest.landing.queue import one_drainer  # loads boto3, which files of this machine do without
    from orchestration.steps.collect import SourceNotConfigured, drain_queue, place_of

    place = place_of(settings(), held)
    if not isinstance(place, ObjectSource):
        raise SourceNotConfigured(held)
    with one_drainer(store, held.source):
        drained = drain_queue(settings(), held, place, store, limits)
    done = [Landed(each, False, frozenset(mark.name for mark in each.objects)) for each in drained.receipts]
    objects = [each for receipt in drained.receipts for each in receipt.objects]
    refused = list(drained.refused.items())
    return Listing(notes=drained.notes(), found=len(objects) + drained.known + len(refused), refused=refused), done


def _report_landing(source: str, listing: Listing, done: list[Landed], json: bool) -> None:
    counts = {key: sum(each.counted()[key] for each in done) for key in ("read", "landed", "quarantined")}
    if json:
        batches = [{"unchanged": each.unchanged, "receipt": each.receipt} for each in done]
        objects = len(listing.objects) or listing.found
        beside = {"ignored": listing.ignored, "unreadable": _unread(listing, done), "notes": listing.notes}
        print_json({"source": source, "objects": objects, **counts, **beside, "batches": batches})
        return
    for each in done:
        receipt = each.receipt
        state = "had landed already, unchanged" if each.unchanged else f"{receipt.status} in {receipt.seconds:.1f} s"
        say(f"batch {receipt.batch}: {number(len(each.objects), 'object')}, {state}")
        for broken in receipt.violations[:12]:
            consequence = {"null": "field emptied", "stall": "batch stalled"}.get(broken.consequence, "quarantined")
            where = f" {broken.field}" if broken.field else ""
            found = f", found {broken.found[:80]!r}" if broken.found else ""
            say(f"  {broken.records:,} × {broken.reason}{where}: {consequence}{found}")
        if len(receipt.violations) > 12:
            say(f"  and {len(receipt.violations) - 12:,} more kinds; --json has all")
        if receipt.coverage:
            from lake.ledger.coverage import coverage_sentence  # most batches have none

        for told in receipt.coverage:
            say(f"  {coverage_sentence(told)}")
        if receipt.drift:
            names = ", ".join(f"{each.field} ({each.records:,})" for each in receipt.drift[:8])
            more = f" and {len(receipt.drift) - 8} more" if len(receipt.drift) > 8 else ""
            say(f"  fields the contract does not know (kept in _raw): {names}{more}")
        for note in receipt.notes[:5]:
            say(f"  note: {note}")
    for why, passed in _passed_over(listing, done).items():
        which = passed[0] if len(passed) == 1 else f"{len(passed):,} objects like {passed[0]}"
        say(f"  passed over {which}: {why}")
    unread = _unread(listing, done)
    for name, why in unread[:_MOST_UNREAD]:
        say(f"  could not be read, and was left out: {why if name in why else f'{name}: {why}'}")
    if len(unread) > _MOST_UNREAD:
        say(f"  and {len(unread) - _MOST_UNREAD:,} more objects could not be read; --json has all")
    for note in listing.notes:
        say(f"note: {note}")
    if not listing.objects and not listing.found:
        say("nothing to land: no new objects were found there")
    erased = sum(each.receipt.erased for each in done)
    gone = f" + {erased:,} erased on request" if erased else ""
    out.print(f"{counts['read']:,} read = {counts['landed']:,} landed + {counts['quarantined']:,} quarantined{gone}")


def _unread(listing: Listing, done: list[Landed]) -> list[tuple[str, str]]:
    """Return the objects that are there and could not be read by this call, with the reason."""
    told = (
        (name, why)
        for each in done
        for name, why in each.receipt.unreadable
        if not each.unchanged or name.split("!")[0] in each.objects  # a member of an archive that has landed
    )
    return list(dict([*listing.refused, *told]).items())


def _passed_over(listing: Listing, done: list[Landed]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in dict.fromkeys([*listing.ignored, *(pair for each in done for pair in each.receipt.ignored)]):
        found.setdefault(why, []).append(name)
    return found


@contextmanager
def _progress(title: str, total: int, hidden: bool) -> Iterator[Callable[[int], None]]:
    """Show how many bytes were read: a bar, or lines where nobody looks; nothing when hidden."""
    if hidden or not err.is_terminal:
        with progress(title, hidden) as tell:
            yield lambda read: tell(f"{title}, MB", read // 1_000_000, total // 1_000_000)
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(TextColumn("{task.description}", markup=False), *columns, console=err, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda read: bar.update(task, completed=read)
