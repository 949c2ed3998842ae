"""The command that answers SQL questions."""

import re
from typing import Annotated

import duckdb
import typer

from ingest.contracts import load_contracts
from ingest.contracts.bronze import pipeline_columns
from ingest.reference.views import reference_views
from lake.matching.matches import TABLE as MATCHES
from lake.matching.matches import select as matches
from lake.ocsf.columns import columns
from lake.ocsf.generate import declared_classes
from lake.query.session import ReadOnly, ask, connect
from lake.storage.store import Store
from orchestration.cli.app import Json, app
from orchestration.cli.context import lake, settings
from orchestration.cli.output import UsageError, err, print_json, print_table
from orchestration.steps.signals import signal_views


def reading(store: Store, question: str = "") -> duckdb.DuckDBPyConnection:
    """Return a connection that reads a lake: see `lake.query.session`."""
    added = [(column.name, column.duckdb_type) for column in pipeline_columns]
    sources = {
        name: [*((field.name, field.duckdb_type) for field in each.fields), *added]
        for name, each in load_contracts().items()
    }
    classes = {name: columns(each) for name, each in declared_classes().items()}
    in_gold = not question or re.search(r"\b(gold|show|information_schema|duckdb_)", question, re.IGNORECASE)
    marts = {**signal_views(store, question), MATCHES: matches(store)} if in_gold else {}
    return connect(store, sources, classes, question, reference_views(store, settings().feed_order), marts)


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
