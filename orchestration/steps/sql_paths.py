"""SQL that takes a path, a pattern or a format from a column: there a value of a record can fail every hour it is in.

`{{ json_member(json, name) }}` reads a member whose name is a value: in a JSON Pointer any text is a name.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

# function → which argument is a path, a pattern, a format or a name; the others are values. LIKE and GLOB cannot fail,
# and a mart may well hold a host against patterns of a reference table.
_SECOND = (
    "-> ->> like_escape not_like_escape ilike_escape not_ilike_escape"
    " json_extract json_extract_string json_extract_path json_extract_path_text json_type json_exists json_value"
    " json_keys json_array_length json_structure json_transform json_transform_strict from_json from_json_strict"
    " regexp_matches regexp_full_match regexp_extract regexp_extract_all regexp_replace regexp_split_to_array"
    " regexp_split_to_table string_split_regex str_split_regex split_regex strptime try_strptime strftime"
)
_FIRST = "format printf getvariable getenv query query_table date_part datepart date_trunc datetrunc timezone nextval"
_PLACES = dict.fromkeys(_SECOND.split(), 1) | dict.fromkeys(_FIRST.split(), 0)
_LAMBDAS = ("list_", "array_", "apply", "filter", "reduce")  # functions that take one


def paths_from_data(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[str]:
    """Yield a sentence for each function of a SELECT whose path, pattern or format comes from a column."""
    (text,) = con.execute("select json_serialize_sql(?)", [sql]).fetchone() or ("{}",)
    for function in dict.fromkeys(_found(json.loads(text), "")):
        yield (
            f"{function} takes its path, pattern or format from a column, so a value can break the build: write it out,"
            " or read the member of a JSON object with json_member(json, name)"
        )


def _found(node: Any, parent: str) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _found(each, parent)
        return
    if not isinstance(node, dict):
        return
    name = _name(node, parent)
    place, arguments = _PLACES.get(name, -1), node.get("children") or [node.get("lhs"), node.get("expr")]
    if 0 <= place < len(arguments) and not _is_pointer(arguments[place]) and _has_column(arguments[place]):
        yield name
    for each in node.values():
        yield from _found(each, name)


def _name(node: dict[str, Any], parent: str) -> str:
    """Return the name of a function. The parser takes every `a -> b` for a lambda; few are one."""
    if node.get("class") == "LAMBDA":
        return "" if parent.startswith(_LAMBDAS) else "->"
    return str(node.get("function_name", "")).lower() if node.get("class") == "FUNCTION" else ""


def _has_column(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_has_column, node))
    if not isinstance(node, dict):
        return False
    escaped = node.get("function_name") == "regexp_escape"
    return node.get("class") == "COLUMN_REF" or (not escaped and any(map(_has_column, node.values())))


def _is_pointer(node: dict[str, Any]) -> bool:
    """Whether it is what `json_member` writes: '/' || replace(replace(…, '~', '~0'), '/', '~1')."""
    return (
        node.get("function_name") == "||"
        and _constants(node["children"][:1]) == ["/"]
        and _replaces(node["children"][1], "/", "~1")
        and _replaces(node["children"][1]["children"][0], "~", "~0")
    )


def _replaces(node: dict[str, Any], old: str, new: str) -> bool:
    return node.get("function_name") == "replace" and _constants(node["children"][1:]) == [old, new]


def _constants(nodes: list[dict[str, Any]]) -> list[Any]:
    return [node["value"]["value"] for node in nodes if node.get("class") == "CONSTANT"]
