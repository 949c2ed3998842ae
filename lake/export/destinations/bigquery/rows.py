"""Rows as BigQuery loads them: the DuckDB SQL that writes a Parquet file with exactly a table's columns.

All columns of the table are written, in its order and types, so that a load has nothing to convert. Lists are never
NULL and hold no NULL, for BigQuery's are not: a NULL list is an empty one, NULL elements are left out and counted.
"""

from collections.abc import Sequence

from duckdb.sqltypes import DuckDBPyType

from lake.base.sql import literal, quoted
from lake.export.destination import Partition
from lake.export.destinations.bigquery.columns import HOUR, Field, type_of
from lake.export.json_sql import Column, child_of, fields_of

_TYPES = {
    "BOOLEAN": "boolean",
    "INTEGER": "bigint",
    "FLOAT": "double",
    "STRING": "varchar",
    "BYTES": "blob",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamptz",
    "NUMERIC": "decimal(38, 9)",
    "BIGNUMERIC": "decimal(38, 0)",
}


def select_of(fields: Sequence[Field], columns: Sequence[Column], partition: Partition) -> str:
    """Return the SELECT over `exported` that makes a table's rows."""
    given = {each.name.lower(): each for each in columns}
    hour = f"timestamptz {literal(f'{partition.hour:%Y-%m-%d %H}:00:00+00')}"
    written = []
    for each in fields:
        column = given.get(each["name"].lower())
        if each["name"] == HOUR:
            value = hour
        elif column is None:
            value = _missing(each)
        else:
            value = _value(quoted(column.name), column.type, each, 0)
        written.append(f"{value} as {quoted(each['name'])}")
    return f"select {', '.join(written)} from exported"


def nulls_in_lists(columns: Sequence[Column]) -> str:
    """Return the SELECT that counts the NULL elements of lists, or "" where there is no list."""
    counts = [count for each in columns if (count := _nulls(quoted(each.name), each.type, 0))]
    return f"select sum({' + '.join(counts)})::bigint from exported" if counts else ""


def _type(field: Field) -> str:
    said = type_of(field)
    if said == "RECORD":
        inner = ", ".join(f"{quoted(each['name'])} {_type(each)}" for each in field["fields"])
        made = f"struct({inner})"
    else:
        made = _TYPES.get(said, "varchar")
    return f"{made}[]" if _repeated(field) else made


def _repeated(field: Field) -> bool:
    return str(field.get("mode", "")).upper() == "REPEATED"


def _missing(field: Field) -> str:
    return f"[]::{_type(field)}" if _repeated(field) else f"null::{_type(field)}"


def _value(expression: str, type_: DuckDBPyType, field: Field, depth: int) -> str:
    if not _repeated(field):
        return _single(expression, type_, field, depth)
    each = f"e{depth}"
    one = {**field, "mode": "NULLABLE"}
    if type_.id == "map":
        pair = _entry(each, fields_of(type_), one, depth + 1)
        return f"coalesce(list_transform(map_entries({expression}), lambda {each}: {pair}), {_missing(field)})"
    inner = child_of(type_)
    if inner.id in ("list", "array", "map"):
        (within,) = field["fields"]
        made = f"struct_pack({quoted(within['name'])} := {_value(each, inner, within, depth + 1)})"
    else:
        made = _single(each, inner, one, depth + 1)
    kept = f"list_filter({_list(expression, type_)}, lambda {each}: {each} is not null)"
    return f"coalesce(list_transform({kept}, lambda {each}: {made}), {_missing(field)})"


def _list(expression: str, type_: DuckDBPyType) -> str:
    return f"{expression}::{child_of(type_)}[]" if type_.id == "array" else expression


def _single(expression: str, type_: DuckDBPyType, field: Field, depth: int) -> str:
    if type_.id == "struct":
        return f"case when {expression} is not null then {_entry(expression, fields_of(type_), field, depth)} end"
    if type_of(field) == "BIGNUMERIC" and type_.id == "decimal":
        return f"{expression}::decimal(38, {type_.children[1][1]})"
    return f"{expression}::{_type(field)}"


def _entry(expression: str, inner: dict[str, DuckDBPyType], field: Field, depth: int) -> str:
    """Return the object of a field's own fields; what the value lacks is NULL."""
    given = {name.lower(): name for name in inner}
    parts = []
    for each in field["fields"]:
        name = given.get(each["name"].lower())
        value = _value(f"{expression}.{quoted(name)}", inner[name], each, depth) if name else _missing(each)
        parts.append(f"{quoted(each['name'])} := {value}")
    return f"struct_pack({', '.join(parts)})"


def _nulls(expression: str, type_: DuckDBPyType, depth: int) -> str:
    """Return SQL for the number of NULL elements in a value's lists, or ""."""
    if type_.id == "struct":
        parts = [_nulls(f"{expression}.{quoted(name)}", inner, depth) for name, inner in fields_of(type_).items()]
        return " + ".join(filter(None, parts))
    if type_.id not in ("list", "array"):
        return ""
    each, of = f"e{depth}", _list(expression, type_)
    own = f"coalesce(len(list_filter({of}, lambda {each}: {each} is null)), 0)"
    below = _nulls(each, child_of(type_), depth + 1)
    return f"{own} + coalesce(list_sum(list_transform({of}, lambda {each}: {below})), 0)::bigint" if below else own
