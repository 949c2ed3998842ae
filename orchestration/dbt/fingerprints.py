"""What each table of the dbt project is made by, as one fingerprint: an edit makes stale what it can change.

A table's fingerprint covers, from its own model up through views to the bronze source: SQL and the properties that
decide rows, the macros that these call (and those call), the rows of seeds that name its source (a seed without a
`source` column counts whole), the fields of the bronze source and what its contract says of equality. It ends at other
tables: their rows are compared, not how they are made. An edit that changes no row of any table, of a description, a
test or an unused macro, changes no fingerprint.

The manifest names the macros that a model or a macro calls in its text. These are reached in other ways:
 - the materialization, and the hooks of a run: they count for every table
 - `ocsf_type__<class>`, by a name that is put together: what a class declares counts for its tables
 - `bronze_types` has the fields of every source, and counts for none: the fields of a table's own source do
 - `filter_name` reads the filters that the mappings of a source declare: they count for the source's dispositions
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lake.storage.paths import OUTCOMES

Manifest = Mapping[str, Any]

_BRONZE_TYPES = "bronze_types"
_CONFIG = ("materialized", "column_types", "delimiter", "pre-hook", "post-hook")
_NOT_OF_ROWS = {"exports", "owner", "alert_channel", "retention_days", "contract_version", "freshness", "kept"}


class Fingerprints:
    """The fingerprints of a project's tables."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest = folder, manifest
        self._nodes, self._macros = manifest["nodes"], manifest["macros"]
        self._package = manifest["metadata"]["project_name"]
        self._called = lru_cache(maxsize=None)(self._called_by)
        self._digest = lru_cache(maxsize=None)(lambda macro: _digest(f"{macro} {self._macros[macro]['macro_sql']}"))
        hooks = [node for node in self._nodes.values() if node["resource_type"] == "operation"]
        self._hooks = self._closure(macro for node in hooks for macro in node["depends_on"]["macros"])

    def of(self, unique_id: str) -> str:
        """Return the fingerprint of a table: `<table>__<source>`, or a mart."""
        node = self._nodes[unique_id]
        table, _, source = node["name"].partition("__")
        parts: list[object] = []
        macros = {*self._hooks, *self._closure(self._types(table, node))}
        for each in sorted(self._made_of(unique_id)):
            found = self._nodes.get(each) or self._manifest["sources"][each]
            kind = found["resource_type"]
            parts.append((each, _config(found)))
            if kind == "seed":
                parts.append(_seed_rows(self._folder / found["original_file_path"], source))
            elif kind == "source":
                parts.append([(name, column.get("data_type")) for name, column in found["columns"].items()])
            else:
                parts.append(found["raw_code"])
                macros |= self._closure([*found["depends_on"]["macros"], self._materialization(found)])
        if table == OUTCOMES:
            parts.append(self._filters(source))
        parts.append([self._digest(each) for each in sorted(macros)])
        return _digest(json.dumps(parts, sort_keys=True, default=str))[:16]

    def _made_of(self, unique_id: str) -> set[str]:
        """Return a table, and what it reads down to other tables: views, seeds, bronze sources, inline tables."""
        found = {unique_id}
        for each in self._nodes[unique_id]["depends_on"]["nodes"]:
            config = self._nodes[each]["config"] if each in self._nodes else {}
            if config.get("materialized") == "view" or config.get("meta", {}).get("inline"):
                found |= self._made_of(each)
            elif each.startswith("seed.") or each.startswith(f"source.{self._package}.bronze."):
                found.add(each)
        return found

    def _types(self, table: str, node: Mapping[str, Any]) -> list[str]:
        name = node["config"].get("meta", {}).get("ocsf_class") or table
        return [f"macro.{self._package}.ocsf_type__{name}"]

    def _materialization(self, node: Mapping[str, Any]) -> str:
        return f"macro.{self._package}.materialization_{node['config']['materialized']}_duckdb"

    def _filters(self, source: str) -> list[object]:
        models = sorted((n["name"], n["config"].get("meta", {}).get("filters")) for n in self._nodes.values())
        return [(name, filters) for name, filters in models if filters and name.endswith(f"__{source}")]

    def _closure(self, macros: Iterable[str]) -> set[str]:
        return set().union(*(self._called(each) for each in macros))

    def _called_by(self, macro: str) -> frozenset[str]:
        """Return a macro and those that it calls, directly or not; of the project alone."""
        found, waiting = set(), [macro]
        while waiting:
            each = waiting.pop()
            held = self._macros.get(each)
            if held and each not in found and held["package_name"] == self._package and held["name"] != _BRONZE_TYPES:
                found.add(each)
                waiting += held["depends_on"]["macros"]
        return frozenset(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _config(node: Mapping[str, Any]) -> dict[str, object]:
    config = node["config"]
    meta = {name: value for name, value in (config.get("meta") or {}).items() if name not in _NOT_OF_ROWS}
    return {**{name: config[name] for name in _CONFIG if config.get(name)}, "meta": meta}


def _seed_rows(file: Path, source: str) -> str:
    rows = _rows(file.read_text())
    if not source or not rows or "source" not in rows[0]:
        return str(rows)
    return str([row for row in rows if row["source"] == source])


@lru_cache(maxsize=64)
def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
