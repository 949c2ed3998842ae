"""The command that answers SQL questions."""

from typing import Annotated

import typer

from lake.query.session import ReadOnly, ask
from orchestration.cli.app import Json, UsageError, app, err, lake, print_json, print_table
from orchestration.steps.query import reading


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over bronze, silver, gold, quarantine, ledger, reference.")],
    json: Json = False,
) -> None:
    """Ask the lake in SQL (DuckDB). Tables: bronze.<source>, silver.<class>, quarantine.<source>, ledger.*, gold.*."""
    try:
        names, rows = ask(reading(lake(), sql), sql)
    except ReadOnly as problem:
        raise UsageError(str(problem)) from problem
    if json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table("", names, rows[:1000])
    if len(rows) > 1000:
        err.print(f"… {len(rows) - 1000:,} more rows; add a LIMIT, or --json for all", style="yellow")
