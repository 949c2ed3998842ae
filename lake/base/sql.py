"""SQL: texts and names quoted, and a DuckDB at hand for questions that need no lake.

This is the one place where a Python text becomes a part of a statement.
"""

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def quoted(name: str) -> str:
    """Return a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(values: Iterable[str]) -> str:
    """Return string literals in parentheses, for `IN`."""
    return "(" + ", ".join(map(literal, values)) + ")"


def listed(values: Iterable[str]) -> str:
    """Return a SQL list of string literals."""
    return "[" + ", ".join(map(literal, values)) + "]"


def texts(values: Iterable[str]) -> str:
    """Return a typed SQL list of texts, also of none.

    As parameters thousands of them take seconds: DuckDB looks for pandas at each.
    """
    return f"{listed(values)}::varchar[]"


def coalesced(expressions: Iterable[str]) -> str:
    """Return the first of some expressions that is not null."""
    found = list(expressions)
    return found[0] if len(found) == 1 else "coalesce(" + ", ".join(found) + ")"


def json_path(steps: tuple[str, ...]) -> str:
    """Return a DuckDB JSONPath, every name quoted: `$."actor"."id"`; the step `[*]` is every list element."""
    return "$" + "".join(step if step == "[*]" else f'."{step}"' for step in steps)


def empty_select(columns: Iterable[Sequence[str]]) -> str:
    """Return a SELECT of no rows with the given (name, DuckDB type) columns."""
    return "select " + ", ".join(f"null::{type_} as {quoted(name)}" for name, type_ in columns) + " where false"


def at_hand(threads: int | None = 1) -> "duckdb.DuckDBPyConnection":
    """Return a connection of a DuckDB that this process keeps, in UTC: starting one takes 10 ms of the processor.

    For questions about values and files of this machine that need little memory. What is registered, and the time zone,
    is the connection's own; nothing may be created in it, and nothing else set. `threads`: None for as many as there
    are cores.
    """
    con = _kept(os.getpid(), threads).cursor()
    con.execute("set timezone = 'UTC'")
    return con


@lru_cache(maxsize=4)
def _kept(process: int, threads: int | None) -> "duckdb.DuckDBPyConnection":
    """Return the process's own DuckDB: in a forked process that of its parent has lost its threads."""
    import duckdb  # takes a tenth of a second, and most commands that quote a name ask it nothing

    return duckdb.connect(config={} if threads is None else {"threads": threads})
