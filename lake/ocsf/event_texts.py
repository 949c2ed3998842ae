"""Rows of a class table turned back into the OCSF events they stand for, as JSON texts.

What belongs here: which columns are part of an event, how their values are written in JSON, and leaving out NULLs.
What does not: whether the events are valid (validate.py).
"""

from collections.abc import Iterator

import duckdb
from duckdb.sqltypes import DuckDBPyType

_ROWS_AT_ONCE = 2048
_PARTS = 1_000_000


def event_texts(relation: duckdb.DuckDBPyRelation, share: float = 1.0) -> Iterator[str]:
    """Yield the rows as JSON texts without the pipeline's columns and without NULL columns and fields.

    Nulls in lists, and in objects in lists, are kept. `share` in 0..1 is the part of the rows wanted: those whose hash
    of `metadata.uid` falls below it, so the same ones every time, and all rows without a uid.
    """
    columns = [
        (_quoted(name), type_)
        for name, type_ in zip(relation.columns, relation.types, strict=True)
        if not name.startswith("_")
    ]
    filled = _filled(relation, [node for name, type_ in columns for node in _nodes(name, type_)])
    chosen = [column for column in columns if column[0] in filled] or columns[:1]
    wanted = ", ".join(f"{_written(name, type_, filled)} AS {name}" for name, type_ in chosen)
    parts = round(share * _PARTS)
    sample = "" if share == 1 else f"WHERE coalesce(md5_number_lower(metadata.uid) % {_PARTS} < {parts}, true)"
    # An RFC 7396 merge into nothing drops the null fields of objects, though not of objects in lists.
    rows = relation.query(
        "event_table",
        f"SELECT CAST(json_merge_patch('{{}}', to_json(event)) AS VARCHAR) "
        f"FROM (SELECT {wanted} FROM event_table {sample}) AS event",
    )
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield from (row[0] for row in batch)


def _nodes(expression: str, type_: DuckDBPyType) -> Iterator[str]:
    """Yield the SQL of a column and of every field below it, down to lists."""
    yield expression
    if type_.id == "struct":
        for name, inner in _fields(type_):
            yield from _nodes(f"{expression}.{name}", inner)


def _filled(relation: duckdb.DuckDBPyRelation, nodes: list[str]) -> frozenset[str]:
    """Return the nodes that are not NULL in some row: most attributes of a class are empty in most tables."""
    counts = relation.aggregate(", ".join(f"count({node})" for node in nodes)).fetchone() or ()
    return frozenset(node for node, count in zip(nodes, counts, strict=True) if count)


def _written(expression: str, type_: DuckDBPyType, filled: frozenset[str]) -> str:
    """Return SQL for the value of a column or field in the event, objects with their filled fields only."""
    if str(type_).startswith("TIMESTAMP"):
        return f"strftime({expression}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    if expression == '"unmapped"' and type_.id == "varchar":
        return f"CAST({expression} AS JSON)"
    if type_.id != "struct":
        return expression
    fields = list(_fields(type_))
    wanted = [field for field in fields if f"{expression}.{field[0]}" in filled] or fields[:1]
    inner = ", ".join(f"{name} := {_written(f'{expression}.{name}', below, filled)}" for name, below in wanted)
    return f"CASE WHEN {expression} IS NOT NULL THEN struct_pack({inner}) END"


def _fields(type_: DuckDBPyType) -> Iterator[tuple[str, DuckDBPyType]]:
    for name, inner in type_.children:
        if isinstance(inner, DuckDBPyType):
            yield _quoted(name), inner


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
