"""How the columns of an export become columns of a Snowflake table, on the way there and at the end.

On the way values are what Parquet and Snowflake cannot understand in two ways: instants are whole microseconds since
1970, objects and lists JSON texts, binary hexadecimal digits. Columns are then named C0, C1, …
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lake.base.sql import literal, quoted
from lake.export.errors import SchemaConflict
from lake.export.json_sql import Column as Given
from lake.export.json_sql import value_text

DATE, HOUR = "DATE", "HOUR"
PARTITION = {DATE: "DATE", HOUR: "NUMBER(38,0)"}

# Bytes that one value may have: a VARIANT 128 MB since 2025, a VARCHAR of no said length 16 MB, a BINARY 8 MB
# (docs.snowflake.com/en/sql-reference/data-types-semistructured, …/data-types-text).
TEXT_BYTES, BINARY_BYTES, VARIANT_BYTES = 16_777_216, 8_388_608, 134_217_728
_JSON_TEXT = f"VARCHAR({VARIANT_BYTES})"
_INTEGERS = frozenset(
    ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "hugeint", "uhugeint")
)
_WIDER_THAN_64 = frozenset(("ubigint", "hugeint", "uhugeint"))
_SIZED = re.compile(r"([A-Z_]+)\((\d+)(?:,(\d+))?\)\Z")
_FULL_SIZE = {"VARCHAR": TEXT_BYTES, "BINARY": BINARY_BYTES, "TIMESTAMP_NTZ": 6}


@dataclass(frozen=True)
class Column:
    """One column: its `name` and `type` in the table, as `staged` on the way, `written` by DuckDB, `read` by Snowflake.

    `limit` is how many bytes `written` may have, 0 where there is none.
    """

    name: str
    type: str
    staged: str
    written: str
    read: str
    limit: int = 0


def columns_of(given: Sequence[Given]) -> list[Column]:
    """Return the columns of rows; their names are upper case, so that they need no quotes in Snowflake.

    Raises:
        SchemaConflict: two names differ only in case, or one is that of a partition column.
    """
    taken = {DATE: "the event day that Headwater adds", HOUR: "the event hour that Headwater adds"}
    for each in given:
        name = each.name.upper()
        if name in taken:
            raise SchemaConflict(
                f"{each.name!r} and {taken[name]} are one name in Snowflake, {name}. Leave the column out (`without`"
                " in the model's meta.exports), or give it another name in the model"
            )
        taken[name] = repr(each.name)
    return [_column(number, each) for number, each in enumerate(given)]


def _column(number: int, given: Given) -> Column:
    name, staged, value = given.name.upper(), f"C{number}", quoted(given.name)
    kind, text = given.type.id, str(given.type)
    if kind == "boolean":
        return Column(name, "BOOLEAN", "BOOLEAN", value, staged)
    if kind in _INTEGERS:
        whole = f"{value}::decimal(38, 0)" if kind in _WIDER_THAN_64 else f"{value}::bigint"
        return Column(name, "NUMBER(38,0)", "NUMBER(38,0)", whole, staged)
    if kind in ("float", "double"):
        return Column(name, "FLOAT", "FLOAT", f"{value}::double", staged)
    if kind == "decimal":
        number_type = text.replace("DECIMAL", "NUMBER").replace(" ", "")
        return Column(name, number_type, number_type, value, staged)
    if kind == "date":
        return Column(name, "DATE", "DATE", value, staged)
    if text.startswith("TIMESTAMP"):
        return Column(name, "TIMESTAMP_NTZ", "NUMBER(38,0)", f"epoch_us({value})", f"TO_TIMESTAMP_NTZ({staged}, 6)")
    if kind == "blob":
        return Column(name, "BINARY", "VARCHAR", f"hex({value})", f"TO_BINARY({staged}, 'HEX')", 2 * BINARY_BYTES)
    if text == "JSON" or kind in ("struct", "list", "array", "map", "union"):
        # With 'd' the last of two equal keys counts; without, the whole load would fail for one such event.
        read = f"PARSE_JSON({staged}, 'd')"
        return Column(name, "VARIANT", _JSON_TEXT, value_text(value, given.type), read, VARIANT_BYTES)
    return Column(name, "VARCHAR", "VARCHAR", f"{value}::varchar", staged, TEXT_BYTES)


def declared(columns: Sequence[Column]) -> dict[str, str]:
    """Return name → type of a table's columns, the partition's included."""
    return {each.name: each.type for each in columns} | PARTITION


def plain_type(said: str) -> str:
    """Return a type as DESCRIBE says it, without a size that holds everything: VARCHAR(16777216) is VARCHAR."""
    found = _SIZED.match(said)
    if found and found[1] in _FULL_SIZE and int(found[2]) >= _FULL_SIZE[found[1]]:
        return found[1]
    return said


def wider(types: Collection[str]) -> Mapping[str, Collection[str]]:
    """Return what Snowflake can alter each type to: a longer text, a number of more digits and the same scale."""
    found: dict[str, set[str]] = {}
    for each in types:
        size = _SIZED.match(each)
        if size and size[1] == "VARCHAR":
            found[each] = {"VARCHAR"}
        elif size and size[1] == "NUMBER":
            found[each] = {to for to in types if (to_size := _SIZED.match(to)) and _more_digits(size, to_size)}
    return found


def _more_digits(held: re.Match[str], to: re.Match[str]) -> bool:
    return to[1] == "NUMBER" and held[3] == to[3] and int(held[2]) < int(to[2])


def too_large(columns: Mapping[int, Column]) -> str:
    """Return SQL (VARCHAR, or NULL) over staged columns, by number: which value is larger than Snowflake takes."""
    cases = [
        f"when strlen(C{number}) > {each.limit} then {literal(each.name)} || ' has ' || {_bytes(number, each)}"
        f" || ' bytes; {each.type} takes {_taken(each):,}'"
        for number, each in columns.items()
        if each.limit
    ]
    return f"case {' '.join(cases)} end"


def _bytes(number: int, column: Column) -> str:
    size = f"strlen(C{number}) // 2" if column.type == "BINARY" else f"strlen(C{number})"
    return f"format('{{:,}}', {size})"


def _taken(column: Column) -> int:
    return BINARY_BYTES if column.type == "BINARY" else column.limit
