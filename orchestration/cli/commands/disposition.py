"""Commands for what analysts say of findings."""

import getpass
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.signals.verdicts import VALUES, Added, Verdict, add_verdicts, parse_moment, read_verdicts, verdicts_sql
from lake.storage import duck
from lake.storage.publish import sweep
from orchestration.cli.app import Json, UsageError, app, lake, out, print_json, print_table, say
from orchestration.steps.products import product_names

MOST_ROWS = 40
disposition = typer.Typer(no_args_is_help=True, help="What analysts say of findings: add one, load a file, list them.")
app.add_typer(disposition, name="disposition")


@disposition.command("add")
def add(
    finding: Annotated[str, typer.Argument(help="finding_info.uid of the finding.")],
    said: Annotated[str, typer.Argument(metavar="DISPOSITION", help=f"One of {', '.join(VALUES)}.")],
    by: Annotated[str | None, typer.Option(help="Who says so; default the user's name.")] = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    at: Annotated[str | None, typer.Option(help="When it was decided (UTC); default now.")] = None,
    json: Json = False,
) -> None:
    """Say of a finding whether it was true. The last one counts; what was said before is kept."""
    if said not in VALUES:
        raise UsageError(f"{said!r} is no disposition (expected {', '.join(VALUES)})")
    moment = parse_moment(at, "--at") if at else None
    given = Verdict(finding, said, by or getpass.getuser(), note, moment, "command line")
    store = lake()
    sweep(store)
    _tell(add_verdicts(store, [given], product_names(), "command line"), json)


@disposition.command("load")
def load(
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON: finding_uid, disposition, and by, note, at.")],
    json: Json = False,
) -> None:
    """Load dispositions from a file. Loading it twice adds nothing; what cannot be taken is named, the rest is kept."""
    given = read_verdicts(file)
    store = lake()
    sweep(store)
    _tell(add_verdicts(store, given, product_names(), file.name), json)


@disposition.command("list")
def list_(
    history: Annotated[bool, typer.Option("--history", help="Also those that count no longer.")] = False,
    json: Json = False,
) -> None:
    """List the dispositions of findings, newest first."""
    names = ("product", "finding_uid", "disposition", "by", "note", "at", "is_current")
    columns = ", ".join(f'"{name}"' for name in names)
    kept = "" if history else " where is_current"
    with duck.connect(store := lake()) as con:
        sql = f'select {columns} from ({verdicts_sql(store)}){kept} order by "at" desc, added_at desc, finding_uid'
        rows = con.execute(sql).fetchall()
    if json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table("", [name.replace("_", " ") for name in names], rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        say(f"… and {len(rows) - MOST_ROWS:,} more; --json has all")


def _tell(done: Added, json: bool) -> None:
    if json:
        print_json(_told(done))
    else:
        for verdict, number in sorted(Counter(each.verdict for each in done.added).items()):
            out.print(f"{number:,} {verdict}")
        if done.unchanged:
            say(f"{len(done.unchanged):,} stood there already")
        for refused in done.refused[:MOST_ROWS]:
            say(f"not taken: {refused.verdict.where}: {refused.reason}")
        if not done.added and not done.refused and not done.unchanged:
            say("nothing was given")
    if done.refused:
        raise typer.Exit(1)


def _told(done: Added) -> dict[str, Any]:
    refused = [
        {"finding_uid": each.verdict.finding_uid, "where": each.verdict.where, "reason": each.reason}
        for each in done.refused
    ]
    return {"added": len(done.added), "unchanged": len(done.unchanged), "refused": refused}
