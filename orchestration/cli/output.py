"""How commands speak: tables for people, JSON for scripts, errors in one line.

What belongs here: printing. What does not: knowing anything about the lake.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def known_errors() -> tuple[type[Exception], ...]:
    """Return the errors that mean something to a user; others are bugs and keep their traceback."""
    import duckdb

    from ingest.contracts import ContractError
    from ingest.landing import LandingError
    from ingest.reference.geoip_records import GeoIpError
    from ingest.transports.fetch_errors import FetchError
    from lake.paths import BadName
    from lake.store import UnsupportedStore
    from orchestration.building import BuildFailed
    from orchestration.settings import SettingsError

    return (
        ContractError,
        LandingError,
        BuildFailed,
        FetchError,
        GeoIpError,
        BadName,
        UnsupportedStore,
        SettingsError,
        UsageError,
        NotFound,
        duckdb.Error,
        OSError,
    )


class UsageError(ValueError):
    """A call that cannot be meant so; the message says what was expected."""


class NotFound(LookupError):
    """Something asked for by name is not in the lake."""


def fail(problem: Exception) -> int:
    """Print a problem and return the exit code that belongs to it."""
    from orchestration.settings import SettingsError

    message = str(problem) or type(problem).__name__
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "kind": type(problem).__name__}))
    err.print("error:", message, style="red", markup=False)
    return 2 if isinstance(problem, UsageError | SettingsError) else 1


def print_json(value: Any) -> None:
    """Print any plain value, dataclass or Struct as JSON; times are ISO, what JSON lacks becomes text."""
    print(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table; numbers stand right, wide texts wrap."""
    rows = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for at, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float) and not isinstance(row[at], bool) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    from rich.markup import escape

    return escape(str(value))
