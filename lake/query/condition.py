"""A condition over the columns of a table that a person wrote: one expression that only looks at the row.

DuckDB parses it; then every part of the parse must be on the list below. So it holds no subquery, no function that
reads files or settings, nothing that answers differently tomorrow, and nothing that ends the expression and begins
another.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb

from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.base.sql import at_hand, empty_select

_PARTS = frozenset(
    ("COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "FUNCTION", "CAST", "BETWEEN", "OPERATOR", "CASE", "LAMBDA")
)
_NAMES = """
~~ ~~* !~~ !~~* ~~~ like_escape ilike_escape not_like_escape not_ilike_escape regexp_matches regexp_full_match
regexp_extract regexp_replace lower upper lcase ucase trim ltrim rtrim left right substr substring replace concat
concat_ws || length len strlen strpos instr position contains starts_with ^@ prefix ends_with suffix split_part
string_split str_split strip_accents nfc_normalize reverse md5 sha256
+ - * / // % abs round floor ceil greatest least
list_contains list_has array_contains array_has list_has_any list_has_all && @> <@ list_filter filter array_filter
list_transform list_apply apply list_position list_extract list_element array_extract list_slice array_slice list_value
struct_extract element_at map_extract row
json_extract json_extract_string json_extract_path json_extract_path_text json_value json_exists json_contains
json_type json_valid json_keys json_array_length to_json -> ->>
date_trunc date_part year month day hour minute second epoch epoch_ms strftime strptime try_strptime timezone
make_timestamp nullif ifnull coalesce if
"""
_FUNCTIONS = frozenset(_NAMES.split())


class BadCondition(HeadwaterError, ValueError):
    """A condition that cannot be used; the message says what was found and what is expected."""

    exit_code = WRONG_CALL


@dataclass(frozen=True)
class Condition:
    """A checked condition: its text, and the columns it looks at."""

    text: str
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Return the condition as it may stand in a WHERE; a comment at its end ends with the line."""
        return f"(\n{self.text}\n) is true"

    def fits(self, con: duckdb.DuckDBPyConnection, columns: Sequence[Sequence[str]]) -> str:
        """Return why the condition cannot be asked of a table with some (name, DuckDB type) columns; else ""."""
        try:
            row = con.execute(f"describe select (\n{self.text}\n) as asked from ({empty_select(columns)})").fetchone()
        except duckdb.Error as problem:
            return str(problem).split("\n")[0]
        return "" if row and row[1] == "BOOLEAN" else f"it gives {row and row[1]}, not true or false"


@lru_cache(maxsize=8)  # an erasure checks its condition at every step
def condition(text: str) -> Condition:
    """Return a checked condition.

    Raises:
        BadCondition: the text is not one expression over columns, or it holds something that is not allowed.
    """
    with at_hand() as con:
        row = con.execute("select json_serialize_sql(?)", [f"select {text}"]).fetchone()
    parsed = json.loads(row[0]) if row else {}
    if parsed.get("error", True):
        raise BadCondition(f"the condition cannot be read: {parsed.get('error_message', 'no SQL')}")
    select = parsed["statements"][0]["node"]
    if len(parsed["statements"]) != 1 or not _is_one_expression(select):
        raise BadCondition(
            "expected one condition such as actor.alternateId = 'ann@example.com', found more than an expression"
        )
    expression = select["select_list"][0]
    names = {name for part in _parts(expression) for name in _lambda_names(part)}
    columns = sorted({str(part["column_names"][0]) for part in _parts(expression) if "column_names" in part} - names)
    for part in _parts(expression):
        _check(part)
    if not columns:
        raise BadCondition("the condition looks at no column: it would be true of every record, or of none")
    return Condition(text.strip(), tuple(columns))


def _is_one_expression(select: dict[str, Any]) -> bool:
    plain = not any(
        select.get(name) for name in ("modifiers", "where_clause", "group_expressions", "having", "sample", "qualify")
    )
    return (
        plain
        and select["type"] == "SELECT_NODE"
        and len(select["select_list"]) == 1
        and not select["select_list"][0].get("alias")
        and select["from_table"]["type"] == "EMPTY"
        and not select["cte_map"]["map"]
    )


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a parsed expression, whatever it hangs on."""
    if isinstance(value, dict):
        if "class" in value:
            yield value
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)


def _lambda_names(part: dict[str, Any]) -> Iterable[str]:
    return (str(each["column_names"][0]) for each in _parts(part["lhs"])) if part["class"] == "LAMBDA" else ()


def _check(part: dict[str, Any]) -> None:
    kind = part["class"]
    if kind not in _PARTS:
        raise BadCondition(f"the condition may only look at the columns of one record, found a {kind.lower()}")
    if kind == "FUNCTION":
        name = str(part["function_name"]).lower()
        built_in = part["schema"] in ("", "main", "pg_catalog") and not part["catalog"]
        if name not in _FUNCTIONS or not built_in or part["distinct"] or part["filter"]:
            raise BadCondition(
                f"the condition may not use {name}(): plain functions of text, lists, JSON and times are known"
            )
