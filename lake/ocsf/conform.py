"""Conforming: a mapping's columns become exactly the columns of its class, by name, or the build stops.

What belongs here: pure functions from the types a mapping gives and the types its class declares to SQL expressions.
What does not: running SQL, or which attributes a class has (`attributes.yml`).

A mapping gives only the attributes it fills. What it leaves out becomes NULL of the declared type; an object of which
nothing is filled becomes NULL itself (OCSF knows no empty objects); a list of nothing becomes NULL. What the class
does not declare is an error that names the path: nothing is dropped in silence.
"""

from collections.abc import Mapping, Sequence

import duckdb
from duckdb.sqltypes import DuckDBPyType

_NUMBERS = frozenset(
    ("tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "decimal")
)
_TEXTS = frozenset(("varchar", "json"))


class ConformError(ValueError):
    """A mapping gives something that its class does not declare, or of another type."""


def conform(declared: Sequence[tuple[str, str]], given: Mapping[str, str], relation: str) -> list[str]:
    """Return the select list that turns `relation` into the class's columns, in the declared order.

    `declared` is (column, DuckDB type) of the class; `given` maps the mapping's columns to their types. Columns that
    start with `_` are the pipeline's own and are not looked at.

    Raises:
        ConformError: a given column or attribute is not declared, or its type cannot become the declared one.
    """
    wanted = dict(declared)
    unknown = [name for name in given if not name.startswith("_") and name not in wanted]
    if unknown:
        raise ConformError(f"the class declares no column {unknown[0]!r} (add it to dbt_project/ocsf/attributes.yml)")
    return [f"{_column(name, type_, given, relation)} as {_quoted(name)}" for name, type_ in declared]


def _column(name: str, declared: str, given: Mapping[str, str], relation: str) -> str:
    if name not in given:
        return f"null::{declared}"
    return _value(f"{relation}.{_quoted(name)}", duckdb.sqltype(given[name]), duckdb.sqltype(declared), name)


def _value(expression: str, given: DuckDBPyType, declared: DuckDBPyType, path: str) -> str:
    if given.id == "null":
        return f"null::{declared}"
    if declared.id == "struct":
        return _struct(expression, given, declared, path)
    if declared.id == "list":
        return _list(expression, given, declared, path)
    if str(given) == str(declared):
        return expression
    return _scalar(expression, given, declared, path)


def _scalar(expression: str, given: DuckDBPyType, declared: DuckDBPyType, path: str) -> str:
    kinds = (_kind(given), _kind(declared))
    if kinds in (("number", "number"), ("number", "double"), ("double", "double")):
        return f"try_cast({expression} as {declared})"  # an integer too large for its attribute stays in bronze
    if kinds in (("text", "text"), ("number", "text")):
        return f"try_cast({expression} as {declared})"
    raise ConformError(f"{path}: the class declares {declared}, the mapping gives {given}")


def _kind(type_: DuckDBPyType) -> str:
    name = str(type_).split("(")[0].lower()
    if name in _NUMBERS:
        return "number"
    if name in _TEXTS:
        return "text"
    return "double" if name in ("double", "float") else name


def _struct(expression: str, given: DuckDBPyType, declared: DuckDBPyType, path: str) -> str:
    if given.id != "struct":
        raise ConformError(f"{path}: the class declares an object, the mapping gives {given}")
    have, wanted = _attributes(given), _attributes(declared)
    for name in have:
        if name not in wanted:
            raise ConformError(
                f"{path}.{name}: the class declares no such attribute (add it to dbt_project/ocsf/attributes.yml)"
            )
    parts = []
    for name, type_ in wanted.items():
        inner = f"{expression}.{_quoted(name)}"
        value = _value(inner, have[name], type_, f"{path}.{name}") if name in have else f"null::{type_}"
        parts.append(f"{_quoted(name)} := {value}")
    filled = _filled(expression, given)
    return f"case when {filled} then struct_pack({', '.join(parts)}) end"


def _filled(expression: str, given: DuckDBPyType) -> str:
    """Whether anything inside is not NULL."""
    if given.id == "struct":
        inner = [_filled(f"{expression}.{_quoted(name)}", type_) for name, type_ in _attributes(given).items()]
        return "(" + " or ".join(inner) + ")"
    if given.id == "list":
        return f"coalesce(len({expression}) > 0, false)"
    if given.id == "null":
        return "false"
    return f"{expression} is not null"


def _list(expression: str, given: DuckDBPyType, declared: DuckDBPyType, path: str) -> str:
    if given.id != "list":
        raise ConformError(f"{path}: the class declares a list, the mapping gives {given}")
    have, wanted = _element(given), _element(declared)
    if str(have) == str(wanted):
        value = expression
    else:
        value = f"list_transform({expression}, lambda e: {_value('e', have, wanted, path + '[]')})"
    kept = f"list_filter({value}, lambda e: e is not null)"  # OCSF lists hold no nulls
    return f"case when len({expression}) > 0 then nullif({kept}, []) end"


def _attributes(struct: DuckDBPyType) -> dict[str, DuckDBPyType]:
    return {name: type_ for name, type_ in struct.children if isinstance(type_, DuckDBPyType)}


def _element(of_list: DuckDBPyType) -> DuckDBPyType:
    return next(type_ for _, type_ in of_list.children if isinstance(type_, DuckDBPyType))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
