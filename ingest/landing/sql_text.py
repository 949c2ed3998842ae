"""Texts as SQL. What belongs here: quoting. What does not: any expression that means something."""

from collections.abc import Iterable


def literal(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Return a SQL list of string literals, for `IN`."""
    return "(" + ", ".join(literal(text) for text in texts) + ")"


def listed(texts: Iterable[str]) -> str:
    """Return a SQL list value of string literals."""
    return "[" + ", ".join(literal(text) for text in texts) + "]"


def coalesced(expressions: Iterable[str]) -> str:
    """Return the first of some expressions that is not null."""
    found = list(expressions)
    return found[0] if len(found) == 1 else "coalesce(" + ", ".join(found) + ")"
