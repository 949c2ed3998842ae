"""How commands speak: tables for people, JSON for scripts, errors in one line. Knows nothing of the lake."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from lake.base.errors import NEEDS_A_LOOK, WRONG_CALL, HeadwaterError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_LEAST_TEXT = 16  # characters that a text column keeps on a narrow terminal


def known_errors() -> tuple[type[Exception], ...]:
    """Return the errors that mean something to a user; others are bugs and keep their traceback."""
    import duckdb  # takes a tenth of a second, and commands that fail without it need not wait

    return (HeadwaterError, duckdb.Error, OSError)


class UsageError(HeadwaterError):
    """A call that cannot be meant so; the message says what was expected."""

    exit_code = WRONG_CALL


class NotFound(HeadwaterError):
    """Something asked for by name is not in the lake."""


def fail(problem: Exception) -> int:
    """Print a problem and what to do about it; return the exit code that belongs to it."""
    message = str(problem) or type(problem).__name__
    known = problem if isinstance(problem, HeadwaterError) else None
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "kind": type(problem).__name__}))
    err.print("error:", message, style="red", markup=False, soft_wrap=True)
    if known and known.advice:
        err.print(known.advice, markup=False, soft_wrap=True)
    return known.exit_code if known else NEEDS_A_LOOK


def print_json(value: Any) -> None:
    """Print any plain value, dataclass or Struct as JSON; times are ISO, what JSON lacks becomes text."""
    print(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, ensure_ascii=False, default=str))


def say(text: str, style: str | None = None) -> None:
    """Print one line as it is; it is never broken, so that it can be searched and copied."""
    out.print(text, style=style, markup=False, soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], gap: int = 2) -> None:
    """Print rows as a table; numbers stand right and are never broken, wide texts wrap."""
    rows = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.padding = (0, gap, 0, 0)
    least = 0
    for at, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        width = max(len(line) for line in (*column.split("\n"), *(_cell(row[at]) for row in rows)))
        least += (width if numeric else min(width, _LEAST_TEXT)) + gap
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(
            column,
            justify=justify,
            overflow="fold",
            no_wrap=numeric,
            min_width=width if numeric else min(width, _LEAST_TEXT),
        )
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    out.print(table, width=max(out.width, least), crop=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(str(value))
