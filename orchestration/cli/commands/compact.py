"""The command that merges small files."""

from datetime import timedelta
from itertools import count
from typing import Annotated

import typer

from ingest.contracts import load_contracts
from lake.storage.publish import sweep
from lake.upkeep.compaction import Compacted, Due, Policy
from orchestration.cli.app import (
    First,
    Json,
    Last,
    Sources,
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
from orchestration.steps.compact_and_retain import compact_lake, due_hours

MOST_ROWS = 40
_DEFAULT = Policy()


@app.command()
def compact(
    first: First = None,
    last: Last = None,
    source: Sources = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be merged, and change nothing.")] = False,
    files: Annotated[
        int, typer.Option(help="Merge hours with more files than this, however large.", min=1)
    ] = _DEFAULT.most_files,
    settle_hours: Annotated[
        float, typer.Option(help="Leave hours alone that ended less than this ago.", min=0)
    ] = _DEFAULT.settle.total_seconds() / 3600,
    unbuilt: Annotated[bool, typer.Option("--unbuilt", help="Merge also hours that wait to be built.")] = False,
    json: Json = False,
) -> None:
    """Merge the many small files of an hour into one; no row changes, and nothing becomes stale."""
    store, names = lake(), _sources(source)
    sweep(store)
    policy = Policy(settle=timedelta(hours=settle_hours), most_files=files)
    wanted, waiting = due_hours(store, names, policy, *hour_range(first, last), unbuilt=unbuilt)
    if dry_run:
        _tell_due(wanted, waiting, json)
        return
    merged = count(1)
    with progress("merging", hidden=json) as tell:
        done = compact_lake(
            store, settings(), names, wanted, lambda each: tell(f"merging {each.where}", next(merged), len(wanted))
        )
    _tell_compacted(done, waiting, json)
    if done.left:
        raise typer.Exit(1)


def _sources(named: list[str] | None) -> list[str]:
    return [contract(name).source for name in named] if named else sorted(load_contracts())


def _tell_due(wanted: list[Due], waiting: int, json: bool) -> None:
    rows = [(each.room, each.source, each.hour, len(each.files), each.bytes) for each in wanted]
    names = ("room", "source", "hour", "files", "bytes")
    if json:
        print_json({"due": [dict(zip(names, row, strict=True)) for row in rows], "waiting_to_be_built": waiting})
        return
    if rows:
        print_table("", names, rows[:MOST_ROWS])
        _tell_more(len(rows))
    say(f"{len(rows):,} hours would be merged")
    _tell_waiting(waiting)


def _tell_compacted(done: Compacted, waiting: int, json: bool) -> None:
    if json:
        print_json({"merged": done.merged, "left": done.left, "removed": done.removed, "waiting_to_be_built": waiting})
        return
    if done.merged:
        names = ("room", "source", "hour", "files", "rows", "bytes before", "bytes after")
        rows = [
            (each.room, each.source, each.hour, each.files_before, each.rows, each.bytes_before, each.bytes_after)
            for each in done.merged
        ]
        print_table("", names, rows[:MOST_ROWS])
        _tell_more(len(rows))
    before, after = sum(each.files_before for each in done.merged), len(done.merged)
    out.print(f"{before:,} files became {after:,}, of the same rows" if after else "nothing was merged")
    for where, why in done.left.items():
        say(f"{where} was left as it is: {why}")
    _tell_waiting(waiting)


def _tell_more(rows: int) -> None:
    if rows > MOST_ROWS:
        say(f"… and {rows - MOST_ROWS:,} more; --json has all")


def _tell_waiting(waiting: int) -> None:
    if waiting:
        hours = "1 hour waits" if waiting == 1 else f"{waiting:,} hours wait"
        say(f"{hours} to be built and is left for later: run `headwater build` first, or add --unbuilt")
