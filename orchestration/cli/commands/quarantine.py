"""Commands that show the records that broke the contract."""

from typing import Annotated

import typer

from lake.base.text import shown
from lake.query.quarantine import page, summary
from orchestration.cli.app import Json, app, contract, lake, out, print_json, print_table, say

_MOST_RAW = 2000  # characters of a record

quarantine = typer.Typer(help="Records that broke the contract, whole, with the reason.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def quarantine_list(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None, json: Json = False
) -> None:
    """Count the quarantined records by source, reason and field, with a sample of what was found."""
    rows = summary(lake(), contract(source).source if source else None)
    if json:
        print_json(rows)
    elif rows:
        shown = [{**row, "found": _short(row["found"])} for row in rows]
        replaced = sum(row["superseded"] for row in rows)
        heads = [name for name in shown[0] if name != "superseded" or replaced]
        print_table("", heads, [[row[name] for name in heads] for row in shown])
        if replaced:
            say(
                f"superseded: {replaced:,} of them are of objects that were replaced at the source since, and whose"
                " later version has landed without a broken record"
            )
    else:
        out.print("quarantine is empty")


@quarantine.command("show")
def quarantine_show(
    source: Annotated[str, typer.Argument(help="The source.")],
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    limit: Annotated[int, typer.Option(help="How many records.", min=1)] = 10,
    json: Json = False,
) -> None:
    """Show quarantined records: the raw text, why, and where each came from."""
    rows = page(lake(), contract(source).source, reason, limit)
    if json:
        print_json(rows)
        return
    for row in rows:
        say(shown(f"{row['_source_object']} row {row['_source_row']}"), style="bold")
        field = f" {row['field']}" if row["field"] else ""
        say(shown(f"  {row['reason']}{field}: expected {row['expected']}, found {row['found']}"))
        if row["_landed_since"]:
            say(f"  a later version of this object has landed whole since, in batch {row['_landed_since']}")
        say(f"  {_cut(row['_raw'])}")
    if not rows:
        out.print("nothing in quarantine" + (f" with reason {reason}" if reason else ""))


def _cut(raw: str) -> str:
    """Return a record as it came, its control characters shown; of a long one the beginning, and how much is left."""
    rest = len(raw) - _MOST_RAW
    return shown(raw[:_MOST_RAW]) + (f" … and {rest:,} more characters; --json has all" if rest > 0 else "")


def _short(text: object) -> str:
    said = str(text or "")
    return said if len(said) <= 60 else f"{said[:59]}…"
