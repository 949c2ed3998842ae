"""The columns of a class: their DuckDB types, and a mapping's columns turned into them, by name.

A mapping gives only the attributes that it fills. What it leaves out becomes NULL of the declared type; an object of
which nothing is filled becomes NULL itself (OCSF knows no empty objects); a list of nothing becomes NULL. An attribute
that the class does not declare is an error that names the path: nothing is dropped in silence.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import duckdb
from duckdb.sqltypes import DuckDBPyType

from lake.base.errors import HeadwaterError
from lake.base.sql import quoted
from lake.ocsf.attributes import Attribute, EventClass

_TYPES = {
    "boolean_t": "BOOLEAN",
    "float_t": "DOUBLE",
    "integer_t": "INTEGER",
    "json_t": "JSON",
    "long_t": "BIGINT",
    "string_t": "VARCHAR",
}
_NUMBERS = frozenset(
    ("tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "decimal")
)
_TEXTS = frozenset(("varchar", "json"))
_CASTS = {("number", "number"), ("number", "double"), ("double", "double"), ("text", "text"), ("number", "text")}


def columns(event_class: EventClass) -> list[tuple[str, str]]:
    """Return the columns of a class in order, each with its DuckDB type."""
    return [(attribute.name, duckdb_type(attribute)) for attribute in event_class.shape.attributes]


def duckdb_type(attribute: Attribute) -> str:
    """Return the DuckDB type of an attribute: objects as STRUCT with quoted names, open objects and json_t as JSON."""
    return _element_type(attribute) + ("[]" if attribute.is_list else "")


def _element_type(attribute: Attribute) -> str:
    if attribute.type == "object_t":
        if attribute.shape is None:
            return "JSON"
        fields = ", ".join(f"{quoted(inner.name)} {duckdb_type(inner)}" for inner in attribute.shape.attributes)
        return f"STRUCT({fields})"
    if attribute.type == "datetime_t":
        return "TIMESTAMP"
    return _TYPES[attribute.base_type]


@dataclass(frozen=True)
class Filled:
    """`path in filled`: whether an attribute (`actor.user.name`, lists without `[]`) may have a value.

    `paths` are those of the mapping; everything below an entry of `whole` may have a value as well.
    """

    paths: frozenset[str] = frozenset()
    whole: tuple[str, ...] = ()

    def __contains__(self, path: str) -> bool:
        return path in self.paths or any(path == each or path.startswith(f"{each}.") for each in self.whole)


class _Everything(Filled):
    def __contains__(self, path: str) -> bool:
        return True


EVERYTHING = _Everything()


def filled_by(given: Mapping[str, str], whole: Iterable[str] = ()) -> Filled:
    """Return what columns of these DuckDB types may fill; `whole` is filled by others, all of it."""
    paths = (path for name, type_ in given.items() for path in _paths(name, _parsed(type_)))
    return Filled(frozenset(paths), tuple(whole))


@lru_cache(maxsize=4096)  # a type of a class is some hundred characters, and each model's are parsed again
def _parsed(type_: str) -> DuckDBPyType:
    return duckdb.sqltype(type_)


def children(type_: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Return the fields of a struct, or the one element type of a list."""
    return [(name, inner) for name, inner in type_.children if isinstance(inner, DuckDBPyType)]


def _paths(path: str, type_: DuckDBPyType) -> Iterator[str]:
    if type_.id == "null":
        return
    if type_.id == "list":
        yield from _paths(path, children(type_)[0][1])
        return
    yield path
    if type_.id == "struct":
        for name, inner in children(type_):
            yield from _paths(f"{path}.{name}", inner)


class ConformError(HeadwaterError, ValueError):
    """A mapping gives something that its class does not declare, or of another type."""


def conform(declared: Sequence[tuple[str, str]], given: Mapping[str, str], relation: str) -> list[str]:
    """Return the select list that turns `relation` into the class's columns, in the declared order.

    `declared` is (column, DuckDB type) of the class; `given` maps the mapping's columns to their types. Columns and
    attributes that start with `_` are the pipeline's own and are not looked at.

    Raises:
        ConformError: a given column or attribute is not declared, or its type cannot become the declared one.
    """
    wanted = dict(declared)
    unknown = [name for name in given if not name.startswith("_") and name not in wanted]
    if unknown:
        raise ConformError(f"the class declares no column {unknown[0]!r} (add it to dbt_project/ocsf/attributes.yml)")
    selected = []
    for name, type_ in declared:
        value = f"null::{type_}"
        if name in given:
            value = _value(f"{relation}.{quoted(name)}", _parsed(given[name]), _parsed(type_), name)
        selected.append(f"{value} as {quoted(name)}")
    return selected


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
    if kinds in _CASTS:
        return f"try_cast({expression} as {declared})"  # an integer too large for its attribute stays in bronze
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
    have, wanted = dict(children(given)), dict(children(declared))
    for name in have:
        if name not in wanted and not name.startswith("_"):
            raise ConformError(
                f"{path}.{name}: the class declares no such attribute (add it to dbt_project/ocsf/attributes.yml)"
            )
    parts = []
    for name, type_ in wanted.items():
        inner = f"{expression}.{quoted(name)}"
        value = _value(inner, have[name], type_, f"{path}.{name}") if name in have else f"null::{type_}"
        parts.append(f"{quoted(name)} := {value}")
    filled = _filled(expression, given)
    return f"case when {filled} then struct_pack({', '.join(parts)}) end"


def _filled(expression: str, given: DuckDBPyType) -> str:
    """Whether anything inside is not NULL."""
    if given.id == "struct":
        own = [(name, type_) for name, type_ in children(given) if not name.startswith("_")]
        inner = [_filled(f"{expression}.{quoted(name)}", type_) for name, type_ in own]
        return "(" + " or ".join(inner) + ")"
    if given.id == "list":
        return f"coalesce(len({expression}) > 0, false)"
    if given.id == "null":
        return "false"
    return f"{expression} is not null"


def _list(expression: str, given: DuckDBPyType, declared: DuckDBPyType, path: str) -> str:
    if given.id != "list":
        raise ConformError(f"{path}: the class declares a list, the mapping gives {given}")
    have, wanted = children(given)[0][1], children(declared)[0][1]
    if str(have) == str(wanted):
        value = expression
    else:
        value = f"list_transform({expression}, lambda e: {_value('e', have, wanted, path + '[]')})"
    kept = f"list_filter({value}, lambda e: e is not null)"  # OCSF lists hold no nulls
    return f"case when len({expression}) > 0 then nullif({kept}, []) end"
