"""The command that applies the contracts' retention."""

from datetime import timedelta
from itertools import count
from typing import Annotated

import typer

from orchestration.cli.app import Json, Sources, app, contract, lake, print_json, print_table, progress, say
from orchestration.steps.compact_and_retain import Retained, known_sources, retain_lake, retain_marts


@app.command()
def retain(
    source: Sources = None,
    apply: Annotated[bool, typer.Option("--apply", help="Remove it. Without this, only say what would go.")] = False,
    json: Json = False,
) -> None:
    """Say which hours are older than their contract's retention; with --apply they go, and receipts say so."""
    store = lake()
    names = [contract(name).source for name in source] if source else known_sources(store)
    removed = count(1)
    with progress("looking", hidden=json) as tell:
        found = retain_lake(
            store, names, apply, lambda each: tell(f"removing {each.source} {each.day}; days", next(removed))
        )
    marts = retain_marts(store, apply)
    if json:
        print_json({"applied": apply, "sources": [_retained(each) for each in found], "marts": marts})
        return
    held = [each for each in found if each.retention]
    if held:
        shown = [_retained(each) for each in held]
        heads = [name.replace("_", " ") for name in list(shown[0])[:-1]]
        print_table("", heads, [list(row.values())[:-1] for row in shown])
    for each in found:
        if each.note:
            say(f"{each.source}: {each.note}")
    for mart, hours in marts.items():
        gone = "were removed" if apply else "would be removed"
        say(f"gold.{mart}: {len(hours):,} event hours up to {hours[-1]}, of which nothing is left to read, {gone}")
    files = sum(day.files for each in found for day in each.days)
    if files and not apply:
        say(f"{files:,} files would be removed: run `headwater retain --apply`")
    else:
        say(f"{files:,} files were removed" if files else "nothing has expired")


def _retained(found: Retained) -> dict[str, object]:
    days = found.days
    return {
        "source": found.source,
        "retention_days": found.retention / timedelta(days=1) if found.retention else None,
        "newest_expired": found.newest,
        "days": len(days),
        "first": str(days[0].day) if days else "",
        "last": str(days[-1].day) if days else "",
        "files": sum(day.files for day in days),
        "rows": sum(day.rows for day in days),
        "bytes": sum(day.bytes for day in days),
        "note": found.note,
    }
