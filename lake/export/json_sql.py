"""The SQL that writes a row as one JSON text, the same for every destination that takes JSON.

NULL is left out, down through objects; NULL in a list stays (also in the objects of a list), and so do an empty list,
text or object. Times are ISO 8601 in UTC with six digits and `Z`; binary is base64; 64-bit integers and decimals are
numbers with all their digits; JSON columns are put in with all they hold, on one line. What is no number in JSON (NaN,
Infinity) is a text.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
from duckdb.sqltypes import DuckDBPyType

from lake.base.sql import literal, quoted

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_PLAIN = ("boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger")


@dataclass(frozen=True)
class Column:
    """A column of a relation: its name and DuckDB type."""

    name: str
    type: DuckDBPyType


def columns_of(relation: duckdb.DuckDBPyRelation) -> list[Column]:
    """Return the columns of a relation."""
    return [Column(name, type_) for name, type_ in zip(relation.columns, relation.types, strict=True)]


def json_text(columns: Sequence[Column]) -> str:
    """Return the SQL (VARCHAR) that writes the named columns of a row as one JSON object, on one line."""
    return _object((each.name, quoted(each.name), each.type) for each in columns)


def _object(fields: Iterator[tuple[str, str, DuckDBPyType]]) -> str:
    # concat_ws passes over NULL, and a name put before NULL is NULL: so NULL is left out without a second pass.
    written = [f"{literal(json.dumps(name) + ':')} || {value_text(value, type_)}" for name, value, type_ in fields]
    return f"'{{' || concat_ws(',', {', '.join(written)}) || '}}'"


def value_text(expression: str, type_: DuckDBPyType) -> str:
    """Return the SQL (VARCHAR) that writes one value; it is NULL where the value is."""
    if type_.id == "struct":
        fields = ((name, f"{expression}.{quoted(name)}", below) for name, below in fields_of(type_).items())
        return f"case when {expression} is not null then {_object(fields)} end"
    if type_.id in _PLAIN:
        return f"{expression}::varchar"
    return f"to_json({json_value(expression, type_)})::varchar"


def json_value(expression: str, type_: DuckDBPyType, depth: int = 0) -> str:
    """Return SQL for a value in a shape that `to_json` writes as this module says."""
    kind = type_.id
    if kind.startswith("timestamp"):
        return f"strftime({expression}, {literal(_TIME)})"
    if kind == "blob":
        return f"base64({expression})"
    if kind in ("float", "double"):
        return f"case when isfinite({expression}) then to_json({expression}) else to_json({expression}::varchar) end"
    if kind == "struct" and _differs(type_):
        inner = ", ".join(
            f"{quoted(field)} := {json_value(f'{expression}.{quoted(field)}', below, depth)}"
            for field, below in fields_of(type_).items()
        )
        return f"case when {expression} is not null then struct_pack({inner}) end"
    if kind in ("list", "array") and _differs(type_):
        each = f"e{depth}"
        return f"list_transform({expression}, lambda {each}: {json_value(each, child_of(type_), depth + 1)})"
    if kind == "map" and _differs(type_):
        each, held = f"e{depth}", fields_of(type_)
        pair = ", ".join(f"{part} := {json_value(f'{each}.{part}', held[part], depth + 1)}" for part in held)
        return f"map_from_entries(list_transform(map_entries({expression}), lambda {each}: struct_pack({pair})))"
    return expression


def _differs(type_: DuckDBPyType) -> bool:
    """Whether a value holds, at any depth, something that `to_json` would write in another way."""
    if type_.id in ("struct", "map"):
        return any(map(_differs, fields_of(type_).values()))
    if type_.id in ("list", "array"):
        return _differs(child_of(type_))
    return type_.id.startswith("timestamp") or type_.id in ("blob", "float", "double")


def fields_of(type_: DuckDBPyType) -> dict[str, DuckDBPyType]:
    """Return the fields of a struct, or `key` and `value` of a map, by name; none of any other type."""
    if type_.id not in ("struct", "map"):
        return {}
    return {name: inner for name, inner in type_.children if isinstance(inner, DuckDBPyType)}


def child_of(type_: DuckDBPyType) -> DuckDBPyType:
    """Return the type of the elements of a list or array."""
    return next(inner for name, inner in type_.children if name == "child" and isinstance(inner, DuckDBPyType))
