"""The command that accounts for every event."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from lake.ledger import Coverage
from lake.ledger.balance import INCOMPLETE, NOT_BUILT, NOT_LANDED, STALLED, UNBALANCED, Balance, BalanceRow
from lake.ledger.balance import balance as balance_of
from lake.ledger.coverage import coverage_sentence
from orchestration.cli.app import Json, app, contract, hour_range, lake, out, print_json, print_table, say
from orchestration.dbt.project import load_project

COLUMNS = {
    "read": "read",
    "landed": "landed",
    "quarantined": "quaran-\ntined",
    "erased": "erased",
    "expired": "expired",
    "duplicates": "dupli-\ncates",
    "filtered": "filter-\ned",
    "unprocessable": "unpro-\ncessable",
    "published": "publi-\nshed",
    "collisions": "colli-\nsions",
    "balanced": "ok",
}
RARE = ("erased", "expired", "unprocessable")  # shown where there are any
_AT = "delivered at "  # columns of destinations, by their names
MOST_HOURS, MOST_REMARKS = 1000, 10


@app.command()
def balance(
    first: Annotated[str | None, typer.Option("--from", help="First hour or day (UTC).")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last hour or day (UTC), included.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources.")] = None,
    by_hour: Annotated[bool, typer.Option("--by-hour", help="Also a row per source and event hour.")] = False,
    json: Json = False,
) -> None:
    """What became of every event: read = landed + quarantined; landed = published + duplicates + filtered.

    What was erased on request, or expired by its contract's retention, was read as well and has columns of its own. So
    have events that no table could be made of: landed = published + duplicates + filtered + unprocessable.
    """
    wanted = [contract(name).source for name in source] if source else None
    coverage: dict[str, tuple[Coverage, ...]] = {}
    mappings = load_project().mappings
    sheet = balance_of(lake(), wanted, *hour_range(first, last), mappings=mappings, deliveries=True, coverage=coverage)
    if json:
        print_json(sheet)
    else:
        print_balance(sheet, by_hour)
        for line in _lost(coverage):
            say(line)
    if not sheet.balanced:
        raise typer.Exit(1)


def _lost(coverage: Mapping[str, Iterable[Coverage]]) -> list[str]:
    """Return what vendors say that they lost before delivery: no equation can hold it, for it was never read."""
    return [
        f"{source}: {coverage_sentence(each)}"
        for source, told in coverage.items()
        for each in told
        if each.meaning == "lost"
    ]


def print_balance(sheet: Balance, by_hour: bool = False) -> None:
    """Print the sheet: hours if asked for, sources, total; below it what does not balance, and what to do."""
    columns = [name for name in COLUMNS if name not in RARE or getattr(sheet.total, name)]
    columns[-1:-1] = [f"{_AT}{name}" for name in sorted(sheet.total.delivered)]
    heads = [COLUMNS.get(name) or f"delivered\n{name.removeprefix(_AT)}" for name in columns]
    if by_hour:
        for source in sheet.sources:
            hours = [row for row in sheet.hours if row.source == source.source]
            if hours:
                shown = [_row(row, row.hour, columns) for row in hours[:MOST_HOURS]]
                print_table(source.source, ("hour", *heads), shown, 1)
                if len(hours) > MOST_HOURS:
                    say(f"… and {len(hours) - MOST_HOURS:,} more; --from and --to narrow it, --json has all")
                out.print()
    totals = [*sheet.sources, sheet.total] if len(sheet.sources) != 1 else list(sheet.sources)
    rows = [[row.source, *_row(row, _hours(sheet, row), columns)] for row in totals]
    print_table("", ("source", "hours", *heads), rows, 1)
    for line in _remarks(sheet):
        say(line)


def _remarks(sheet: Balance) -> list[str]:
    """Return what a person should know beyond the numbers, at most a dozen lines."""
    wrong = [row for row in sheet.hours if row.state == UNBALANCED]
    named = {row.source for row in wrong}
    lines = [f"{row.source} {row.hour}: {row.why}" for row in wrong]
    lines += [
        f"{row.source}: {row.why}"
        for row in sheet.sources
        if row.state in (UNBALANCED, STALLED, NOT_LANDED, INCOMPLETE) and row.source not in named
    ]
    if len(lines) > MOST_REMARKS:
        lines[MOST_REMARKS:] = [f"… and {len(lines) - MOST_REMARKS:,} more that do not balance; --json has all"]
    lines += list(sheet.misdelivered[:MOST_REMARKS])
    lost = [row for row in sheet.hours if row.state == NOT_BUILT and ".parquet " in row.why]  # a file of it is gone
    lines += [f"{row.source} {row.hour}: {row.why}" for row in lost[:MOST_REMARKS]]
    unbuilt = sum(1 for row in sheet.hours if row.state == NOT_BUILT)
    if unbuilt:
        hours = "1 event hour is" if unbuilt == 1 else f"{unbuilt:,} event hours are"
        lines.append(f"{hours} not built: run `headwater build`")
    return lines


def _row(row: BalanceRow, second: object, columns: Iterable[str]) -> list[object]:
    return [second, *(_value(row, name) for name in columns)]


def _value(row: BalanceRow, column: str) -> object:
    return row.delivered.get(column.removeprefix(_AT), 0) if column.startswith(_AT) else getattr(row, column)


def _hours(sheet: Balance, total: BalanceRow) -> int:
    return sum(1 for row in sheet.hours if total is sheet.total or row.source == total.source)
