"""Rows as documents of the Elastic Common Schema (ECS), by the table in `ecs.yml`: their SQL, and their mapping."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml
from duckdb.sqltypes import DuckDBPyType

from lake.base.sql import literal, quoted
from lake.export.declaration import EVENT_ID
from lake.export.json_sql import Column, child_of, fields_of, json_text, value_text

ECS = Path(__file__).with_name("ecs.yml")
OWN = "headwater"  # the object with what this product needs of a document
OWN_TYPES = {
    "event_id": "keyword",
    "table": "keyword",
    "hour": "keyword",
    "push": "keyword",
    "checksum_high": "integer",
    "checksum_low": "integer",
}
_TEXTS = ("keyword", "wildcard", "match_only_text")
_IGNORED_ABOVE = 1024  # characters, as in Elastic's own mappings of ECS; of `ocsf`, what Lucene takes in UTF-8
_FLATTENED_ABOVE = 8191

Found = tuple[str, DuckDBPyType]


@cache
def ecs() -> Mapping[str, Any]:
    """Return the table."""
    held: Mapping[str, Any] = yaml.safe_load(ECS.read_text())
    return held


def classes_of(con: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> list[int | None]:
    """Return the class_uids in `exported`; none where it has no such column."""
    if not any(each.name == "class_uid" for each in columns):
        return []
    return [row[0] for row in con.execute("select distinct class_uid from exported order by all").fetchall()]


def document(columns: Sequence[Column], classes: Sequence[int | None], own: Mapping[str, str]) -> str:
    """Return the SQL (VARCHAR) of a row's document, on one line.

    `classes` are the class_uids of the rows; `own` are fields of the object `headwater`, name → SQL of a JSON text.
    """
    event = [each for each in columns if each.name != EVENT_ID]
    if len(classes) <= 1:
        return _document(event, next(iter(classes), None), own)
    cases = " ".join(f"when {uid} then {_document(event, uid, own)}" for uid in classes if uid is not None)
    return f"case class_uid {cases} else {_document(event, None, own)} end"


def mapping() -> dict[str, Any]:
    """Return the mapping of an index: fields of ECS by name, `ocsf` flattened, nothing made by what arrives."""
    said = ecs()
    specs = {"event.category": "", "event.type": "", **said["fields"]}
    for each in said["classes"].values():
        specs |= each.get("fields", {})
    properties: dict[str, Any] = {}
    for name, spec in sorted(specs.items()):
        for field in [f"{name}.{part}" for part in spec["of"]] if isinstance(spec, dict) and "of" in spec else [name]:
            _put(properties, field, _typed(field))
    _put(properties, "ocsf", {"type": "flattened", "ignore_above": _FLATTENED_ABOVE})
    for name, kind in OWN_TYPES.items():
        _put(properties, f"{OWN}.{name}", {"type": kind})
    return {"dynamic": False, "properties": properties}


def _typed(name: str) -> dict[str, Any]:
    kind = ecs()["types"].get(name, "keyword")
    return {"type": kind, "ignore_above": _IGNORED_ABOVE} if kind == "keyword" else {"type": kind}


def _put(properties: dict[str, Any], name: str, field: Mapping[str, Any]) -> None:
    *above, last = name.split(".")
    for part in above:
        properties = properties.setdefault(part, {}).setdefault("properties", {})
    properties[last] = {**properties.get(last, {}), **field}


def _document(columns: Sequence[Column], uid: int | None, own: Mapping[str, str]) -> str:
    said = ecs()
    of_class = said["classes"].get(uid, {})
    fields = {**said["fields"], **of_class.get("fields", {})}
    if "category" in of_class:
        fields |= {"event.category": {"text": of_class["category"]}, "event.type": _as_spec(of_class["type"])}
    row = _Row(columns)
    tree: dict[str, Any] = {}
    for name, spec in fields.items():
        if text := row.text(name, spec):
            _nest(tree, name.split("."), text)
    left = [each for each in columns if each.name not in said["placed"]]
    if left:
        tree["ocsf"] = f"nullif({json_text(left)}, '{{}}')"
    if own:
        tree[OWN] = dict(own)
    return _object(tree, keep=True)


def _as_spec(type_: Any) -> Any:
    return {"text": type_} if isinstance(type_, list) else type_


def _nest(tree: dict[str, Any], path: Sequence[str], text: str) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = text


def _object(tree: Mapping[str, Any], keep: bool = False) -> str:
    """Return the SQL of an object; one that would be empty is NULL, so that it is left out."""
    parts = []
    for name, held in tree.items():
        text = held if isinstance(held, str) else _object(held)
        parts.append(f"{literal(_json(name) + ':')} || {text}")
    joined = f"concat_ws(',', {', '.join(parts)})"
    held = joined if keep else f"nullif({joined}, '')"
    return f"'{{' || {held} || '}}'"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Row:
    """The columns of a row, and the SQL of what the table asks of them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._types = {each.name: each.type for each in columns}

    def text(self, name: str, spec: Any) -> str:
        """Return the SQL of a field's JSON text, or "" where the rows have nothing of it."""
        if isinstance(spec, list):
            found = [text for each in spec if (text := self.text(name, each))]
            return f"coalesce({', '.join(found)})" if found else ""
        if isinstance(spec, str):
            return self._value(name, spec)
        if "text" in spec:
            return literal(_json(spec["text"]))
        if "is" in spec:
            return self._enumeration(spec)
        if "all" in spec:
            return self._all(name, spec["all"])
        if "list" in spec:
            return self._objects(spec)
        return self._computed(name, spec)

    def _value(self, name: str, path: str) -> str:
        if "[]." in path:
            return self._listed(path)
        if (found := self.at(path)) is None:
            return ""
        expression, type_ = found
        if ecs()["types"].get(name) == "ip":
            return f"to_json({_ip(expression)})::varchar" if type_.id == "varchar" else ""
        textual = ecs()["types"].get(name, "keyword") in _TEXTS
        if textual and type_.id not in ("varchar", "list"):
            return f"to_json({expression}::varchar)::varchar"
        # An empty text says nothing in ECS.
        return value_text(f"nullif({expression}, '')" if type_.id == "varchar" else expression, type_)

    def at(self, path: str) -> Found | None:
        """Return SQL and type of a path, or None where the rows do not have it."""
        top, *rest = path.split(".")
        if top not in self._types:
            return None
        expression, type_ = quoted(top), self._types[top]
        for part in rest:
            below = fields_of(type_).get(part)
            if below is None:
                return None
            expression, type_ = f"{expression}.{quoted(part)}", below
        return expression, type_

    def _listed(self, path: str) -> str:
        """Return the SQL of what the objects of a list hold, each once; nothing of nothing."""
        outer, inner = path.split("[].")
        if (found := self.at(outer)) is None or not _has(_child(found[1]), inner):
            return ""
        each = ".".join(["x", *map(quoted, inner.split("."))])
        held = f"list_distinct(list_filter(list_transform({found[0]}, lambda x: {each}), lambda y: y is not null))"
        return f"to_json(list_sort(nullif({held}, [])))::varchar"

    def _enumeration(self, spec: Mapping[str, Any]) -> str:
        other = literal(_json(spec["else"])) if "else" in spec else "null"
        if (found := self.at(spec["path"])) is None:
            return other if "else" in spec else ""
        cases = " ".join(f"when {str(value).lower()} then {literal(_json(word))}" for value, word in spec["is"].items())
        return f"case {found[0]} {cases} else {other} end"

    def _all(self, name: str, paths: Sequence[str]) -> str:
        held = [found[0] for path in paths if (found := self.at(path)) is not None]
        if not held:
            return ""
        is_ip = ecs()["types"].get(name) == "ip"
        values = ", ".join(_ip(each) if is_ip else f"nullif({each}, '')" for each in held)
        some = f"list_filter([{values}], lambda x: x is not null)"
        return f"to_json(list_sort(nullif(list_distinct({some}), [])))::varchar"

    def _objects(self, spec: Mapping[str, Any]) -> str:
        if (found := self.at(spec["list"])) is None:
            return ""
        element = _child(found[1])
        parts = ", ".join(
            f"{quoted(name)} := x.{quoted(path)}" for name, path in spec["of"].items() if _has(element, path)
        )
        return f"to_json(list_transform({found[0]}, lambda x: struct_pack({parts})))::varchar" if parts else ""

    def _computed(self, name: str, spec: Mapping[str, Any]) -> str:
        path = next(spec[word] for word in ("lower", "ms", "hash", "path") if word in spec)
        if (found := self.at(path)) is None:
            return ""
        expression, type_ = found
        if "lower" in spec:
            return f"to_json(lower(nullif({expression}, '')))::varchar"
        if "ms" in spec:
            return f"'\"' || strftime(make_timestamp_ms({expression}), '%Y-%m-%dT%H:%M:%S.%gZ') || '\"'"
        if "hash" in spec:
            if not _has(_child(type_), "algorithm"):
                return ""
            wanted = f"list_filter({expression}, lambda x: x.algorithm = {literal(spec['algorithm'])})"
            return f"to_json(lower({wanted}[1].value))::varchar"
        return f"({expression} * {int(spec['times'])})::varchar"


def _ip(expression: str) -> str:
    """Return the SQL of an address, or NULL for what is surely none (`-`, a name): it would cost the whole document."""
    return f"case when regexp_full_match({expression}, '[0-9a-fA-F.:]*[.:][0-9a-fA-F.:]*') then {expression} end"


def _child(type_: DuckDBPyType) -> DuckDBPyType | None:
    return child_of(type_) if type_.id == "list" else None


def _has(type_: DuckDBPyType | None, path: str) -> bool:
    for part in path.split("."):
        type_ = fields_of(type_).get(part) if type_ is not None else None
    return type_ is not None
