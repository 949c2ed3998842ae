"""The command that erases records on request."""

import getpass
from typing import Annotated, Any

import typer

from lake.upkeep.erasure import Found, end
from orchestration.cli.app import (
    First,
    Json,
    Last,
    NotFound,
    UsageError,
    app,
    contract,
    hour_range,
    lake,
    out,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.steps.erase import Erased, carry_out, look, requested

MOST_FILES = 40


@app.command()
def erase(
    source: Annotated[str, typer.Argument(help="The source whose records are meant.")],
    where: Annotated[
        str | None, typer.Option(help="A condition over the columns of bronze.<source>, `_raw` included.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record. Write no names here.")] = None,
    first: First = None,
    last: Last = None,
    apply: Annotated[bool, typer.Option("--apply", help="Erase. Without this, only say what matches.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Do not keep the condition: the records may land again.")
    ] = False,
    record_condition: Annotated[
        bool, typer.Option("--record-condition", help="Write the condition into the ledger too.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who asks, for the record; default the user's name.")] = None,
    end_of: Annotated[str | None, typer.Option("--end", help="Let this erasure stand no longer.")] = None,
    json: Json = False,
) -> None:
    """Erase records on request, wherever the lake has them, and prove it. Without --apply: say what matches."""
    name = contract(source).source
    if end_of is not None:
        _end(name, end_of, json)
        return
    if where is None or (apply and not reason):
        raise UsageError("expected --where with a condition" + (", and --reason" if where else " (and --reason)"))
    hours = hour_range(first, last)
    flags = {"once": once, "tell_condition": record_condition}
    request = requested(name, where, reason or "", by or getpass.getuser(), hours, **flags)
    store = lake()
    with progress("looking", hidden=json) as tell:
        found = look(store, settings(), request)
        done = carry_out(store, settings(), request, found, tell) if apply else None
    if done is None:
        _tell_found(found, json)
        return
    _tell_done(done, found, json)
    if not done.proof.holds or done.remains:
        raise typer.Exit(1)


def _end(source: str, name: str, json: bool) -> None:
    try:
        receipt = end(lake(), source, name)
    except LookupError as problem:
        raise NotFound(str(problem)) from problem
    if json:
        print_json(receipt)
    else:
        say(f"erasure {name} of {source} stands no longer: its condition is gone, its records may land again")


def _tell_found(found: Found, json: bool) -> None:
    rows = [(each.room, each.hour, each.key.rsplit("/", 1)[-1], each.erased, each.dead) for each in found.files]
    names = ("room", "hour", "file", "rows", "dead rows")
    if json:
        files = [{"key": each.key, "hour": each.hour, "rows": each.erased, "dead": each.dead} for each in found.files]
        print_json({"applied": False, "files": files, "not_looked_at": found.not_looked_at})
        return
    if rows:
        print_table("", names, rows[:MOST_FILES])
        if len(rows) > MOST_FILES:
            say(f"… and {len(rows) - MOST_FILES:,} more; --json has all")
    say(f"{sum(each.erased for each in found.files):,} rows match in {len(rows):,} files")
    for each in found.not_looked_at:
        say(f"not looked at: {each}")
    if rows:
        say("nothing was changed: add --reason and --apply to erase them")


def _tell_done(done: Erased, found: Found, json: bool) -> None:
    proof, receipt = done.proof, done.receipt
    if json:
        told: dict[str, Any] = {"applied": True, "erasure": receipt.erasure, "holds": proof.holds}
        told |= {"rows": receipt.erased, "files": receipt.files, "built": done.built, "proof": proof.counts}
        told |= {"changed_by_others": proof.changed, "not_looked_at": found.not_looked_at, "remains": done.remains}
        print_json(told)
        return
    hours = "1 event hour" if len(done.built) == 1 else f"{len(done.built):,} event hours"
    out.print(f"{receipt.erased:,} rows erased from {len(receipt.files):,} files; {hours} built again")
    left = {name: rows for name, rows in proof.counts.items() if name.startswith("left_in")}
    say(", ".join(f"{rows:,} {name.replace('_', ' ')}" for name, rows in left.items()))
    say(f"{proof.counts['untouched_files']:,} other files are as they were; on record as {receipt.erasure}")
    for key in proof.changed[:MOST_FILES]:
        say(f"replaced meanwhile by another step: {key}")
    for each in (*found.not_looked_at, *done.remains):
        say(f"not erased: {each}", style="yellow")
