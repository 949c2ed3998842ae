"""Quoting: texts and names as SQL. The one place where a Python text becomes a part of a statement."""

from collections.abc import Iterable, Sequence


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


def empty_select(columns: Iterable[Sequence[str]]) -> str:
    """Return a SELECT of no rows with the given (name, DuckDB type) columns."""
    return "select " + ", ".join(f"null::{type_} as {quoted(name)}" for name, type_ in columns) + " where false"
