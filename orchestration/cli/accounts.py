"""Commands that account for events: balance, quarantine."""

from typing import Annotated

import typer

from lake.balance import Balance, BalanceRow
from lake.balance import balance as balance_of
from lake.quarantine import page, summary
from orchestration.cli.app import Json, app
from orchestration.cli.context import contract, hour_range, lake
from orchestration.cli.output import out, print_json, print_table

COLUMNS = ("read", "landed", "quarantined", "duplicates", "filtered", "published", "collisions", "balanced")

quarantine = typer.Typer(help="Records that broke the contract, whole, with the reason.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")


@app.command()
def balance(
    first: Annotated[str | None, typer.Option("--from", help="First hour or day (UTC).")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last hour or day (UTC), included.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources.")] = None,
    by_hour: Annotated[bool, typer.Option("--by-hour", help="Also a row per source and event hour.")] = False,
    json: Json = False,
) -> None:
    """What became of every event: read = landed + quarantined; landed = published + duplicates + filtered."""
    wanted = [contract(name).source for name in source] if source else None
    sheet = balance_of(lake(), wanted, *hour_range(first, last))
    if json:
        print_json(sheet)
    else:
        print_balance(sheet, by_hour)
    if not sheet.balanced:
        raise typer.Exit(1)


def print_balance(sheet: Balance, by_hour: bool = False) -> None:
    """Print the sheet: hours if asked for (and those that do not balance always), sources, total."""
    hours = [row for row in sheet.hours if by_hour or not row.balanced]
    if hours:
        print_table("event hours", ("source", "hour", *COLUMNS, "why"), [_row(row, row.hour) for row in hours[:1000]])
        if len(hours) > 1000:
            out.print(f"… and {len(hours) - 1000:,} more; --from and --to narrow it, --json has all")
        out.print()
    totals = [*sheet.sources, sheet.total] if len(sheet.sources) != 1 else list(sheet.sources)
    print_table("", ("source", "hours", *COLUMNS, "why"), [_row(row, _hours(sheet, row)) for row in totals])


def _row(row: BalanceRow, second: object) -> list[object]:
    return [row.source, second, *(getattr(row, name) for name in COLUMNS), row.why]


def _hours(sheet: Balance, total: BalanceRow) -> int:
    return sum(1 for row in sheet.hours if total.source in (row.source, "total"))


@quarantine.command("list")
def quarantine_list(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None, json: Json = False
) -> None:
    """Count the quarantined records by source, reason and field, with a sample of what was found."""
    rows = summary(lake(), contract(source).source if source else None)
    if json:
        print_json(rows)
    elif rows:
        print_table("", list(rows[0]), [list(row.values()) for row in rows])
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
        out.print(f"{row['_source_object']} row {row['_source_row']}", style="bold", markup=False)
        field = f" {row['field']}" if row["field"] else ""
        out.print(f"  {row['reason']}{field}: expected {row['expected']}, found {row['found']}", markup=False)
        out.print(f"  {row['_raw'][:2000]}", markup=False)
    if not rows:
        out.print("nothing in quarantine" + (f" with reason {reason}" if reason else ""))
