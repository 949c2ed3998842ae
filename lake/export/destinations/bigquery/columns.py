"""Columns of a BigQuery table: what a table's rows need, what a table has, and how the one becomes the other.

Fields are as BigQuery's API writes them: `name`, `type`, `mode`, `fields`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from duckdb.sqltypes import DuckDBPyType

from lake.export.errors import SchemaConflict
from lake.export.evolution import Evolution, evolution
from lake.export.json_sql import Column, child_of
from lake.export.json_sql import fields_of as inner_types

HOUR = "_event_hour"  # the partition; TIMESTAMP, the first instant of the event hour
Field = dict[str, Any]

# ALTER COLUMN SET DATA TYPE also makes FLOAT64 of INT64, which does not hold every value, and is not done here.
# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#alter_column_set_data_type_statement
WIDER = {"INTEGER": ("NUMERIC", "BIGNUMERIC"), "NUMERIC": ("BIGNUMERIC",)}
_SCALARS = {
    "boolean": "BOOLEAN",
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"), "INTEGER"),
    "ubigint": "NUMERIC",
    **dict.fromkeys(("float", "double"), "FLOAT"),
    # JSON too: load jobs make the type JSON of CSV, Avro and JSON alone.
    # https://cloud.google.com/bigquery/docs/json-data#limitations
    **dict.fromkeys(("varchar", "enum", "uuid"), "STRING"),
    "blob": "BYTES",
    "date": "DATE",
    "time": "TIME",
    **dict.fromkeys(("timestamp", "timestamp with time zone"), "TIMESTAMP"),
    **dict.fromkeys(("timestamp_s", "timestamp_ms", "timestamp_ns"), "TIMESTAMP"),
}
_SQL = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
_API = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_NUMERIC_WHOLE, _NUMERIC_SCALE = 29, 9  # digits before and behind the point
# https://cloud.google.com/bigquery/docs/schemas#column_names
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}\Z")
_FORBIDDEN = (
    *("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier"),
    *("_change_sequence_number", "_change_type", "_change_timestamp"),
)


def table_fields(where: str, columns: Sequence[Column]) -> list[Field]:
    """Return the fields that rows need, the partition first.

    Raises:
        SchemaConflict: BigQuery has no such name or type, or takes two names for one.
    """
    fields = [{"name": HOUR, "type": "TIMESTAMP", "mode": "NULLABLE"}]
    fields += [_field(where, each.name, each.name, each.type) for each in columns]
    _check_names(where, "", fields)
    return fields


def _field(where: str, path: str, name: str, type_: DuckDBPyType) -> Field:
    kind = type_.id
    if kind in ("list", "array"):
        return {**_element(where, path, name, child_of(type_)), "mode": "REPEATED"}
    if kind == "map":
        return _record(where, path, name, inner_types(type_), "REPEATED")
    if kind == "struct":
        return _record(where, path, name, inner_types(type_), "NULLABLE")
    if kind == "decimal":
        return {"name": name, "type": _decimal(type_), "mode": "NULLABLE"}
    if kind not in _SCALARS:
        raise SchemaConflict(f"{where}: {path} is {type_}, which has no type in BigQuery: leave it out (`without`)")
    return {"name": name, "type": _SCALARS[kind], "mode": "NULLABLE"}


def _element(where: str, path: str, name: str, type_: DuckDBPyType) -> Field:
    """Return the field of a list's elements; a list of lists is one of records with a list `element`."""
    if type_.id in ("list", "array", "map"):
        return _record(where, path, name, {"element": type_}, "REPEATED")
    return _field(where, path, name, type_)


def _record(where: str, path: str, name: str, inner: Mapping[str, DuckDBPyType], mode: str) -> Field:
    fields = [_field(where, f"{path}.{each}", each, type_) for each, type_ in inner.items()]
    return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}


def _decimal(type_: DuckDBPyType) -> str:
    precision, scale = (int(str(number)) for _, number in type_.children)
    return "NUMERIC" if precision - scale <= _NUMERIC_WHOLE and scale <= _NUMERIC_SCALE else "BIGNUMERIC"


def _check_names(where: str, path: str, fields: Sequence[Field]) -> None:
    seen: dict[str, str] = {}
    for each in fields:
        name = each["name"]
        if not _NAME.match(name) or name.lower().startswith(_FORBIDDEN):
            told = name if len(name) < 60 else f"{name[:60]}… ({len(name)} characters)"
            raise SchemaConflict(
                f"{where}: BigQuery takes no column {path + told!r} (letters, digits and _, at most 300, none of its"
                " own prefixes). Nothing was changed there. Leave it out (`without`), or rename it in the model"
            )
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise SchemaConflict(
                f"{where}: {path + other!r} and {path + name!r} are one column for BigQuery, which does not tell"
                " capital letters from small ones. Nothing was changed there. Rename one in the model"
            )
        _check_names(where, f"{path}{name}.", each.get("fields", ()))


def planned(where: str, held: Sequence[Field], wanted: Sequence[Field]) -> tuple[Evolution, list[Field]]:
    """Return what a table's fields need before it takes the rows, and the fields that it then has.

    Raises:
        SchemaConflict: a type can be neither kept nor widened.
    """
    there, here = flat(held), flat(wanted)
    for name, type_ in here.items():
        base, inside = _split(type_)
        # What is inside of a list cannot be altered, but may well be wider already.
        if inside and there.get(name) in [f"{inside}{wider}" for wider in WIDER.get(base, ())]:
            here[name] = there[name]
    change = evolution(where, there, here, WIDER)
    return change, merged(held, wanted, change.widened)


def flat(fields: Sequence[Field], path: str = "", inside: str = "") -> dict[str, str]:
    """Return types by dotted names in small letters; what is in a list says so, for it cannot be altered."""
    found: dict[str, str] = {}
    for each in fields:
        repeated = each.get("mode", "").upper() == "REPEATED"
        name, within = f"{path}{each['name'].lower()}", "REPEATED " if repeated else inside
        found[name] = f"{within}{type_of(each)}"
        found |= flat(each.get("fields", ()), f"{name}.", "in a list " if repeated or inside else "")
    return found


def _split(type_: str) -> tuple[str, str]:
    base = type_.rsplit(" ", 1)[-1]
    return base, type_.removesuffix(base)


def type_of(field: Field) -> str:
    """Return a field's type in the API's words."""
    said = str(field["type"]).upper()
    return _API.get(said, said)


def merged(held: Sequence[Field], wanted: Sequence[Field], widened: Mapping[str, str], path: str = "") -> list[Field]:
    """Return the held fields, types widened, with the new ones at the end of the table or of their record."""
    needed = {each["name"].lower(): each for each in wanted}
    result: list[Field] = []
    for each in held:
        name = f"{path}{each['name'].lower()}"
        field = {**each, "type": widened.get(name, each["type"])}
        other = needed.pop(each["name"].lower(), None)
        if "fields" in each:
            field["fields"] = merged(each["fields"], (other or {}).get("fields", ()), widened, f"{name}.")
        result.append(field)
    return [*result, *needed.values()]


def sql_type(field: Field) -> str:
    """Return a field's type as GoogleSQL writes it."""
    said = type_of(field)
    if said == "RECORD":
        said = f"STRUCT<{', '.join(f'{sql_name(each)} {sql_type(each)}' for each in field['fields'])}>"
    said = _SQL.get(said, said)
    return f"ARRAY<{said}>" if field.get("mode", "").upper() == "REPEATED" else said


def sql_name(field: Field) -> str:
    """Return a field's name, quoted for GoogleSQL."""
    return f"`{field['name']}`"
