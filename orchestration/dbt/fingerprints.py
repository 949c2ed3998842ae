"""What each table of the dbt project is made of, part by part: an edit makes stale what it can change.

A table's parts are, from its own model up through views to the bronze source: SQL, the properties that decide rows, the
macros that these call (and those call), the rows of seeds that name its source (a seed without a `source` column counts
whole), the fields of the bronze source and what its contract says of equality, and the SQL that makes whole OCSF events
with their context (`lake/ocsf`). They end at other tables: their rows are compared, not how they are made. Comments,
white space, descriptions, tests, the order of a seed's rows and macros that nothing calls are no parts.

The manifest names the macros that a model or a macro calls in its text. These are reached in other ways:
 - the materialization, and the hooks of a run: they count for every table
 - `ocsf_type__<class>`, by a name that is put together: what a class declares counts for its tables
 - `bronze_types` has the fields of every source, and counts for none: the fields of a table's own source do
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from lake.ocsf.attributes import declared_classes
from lake.ocsf.context.statements import events_version
from orchestration.dbt.manifest import Manifest, targets
from orchestration.dbt.seeds import read_seed
from orchestration.dbt.tokens import Text, read_text
from orchestration.settings import TOP

Parts = dict[str, dict[str, str]]  # of each table by name, part by part, with a digest of each

_BRONZE_TYPES, _CLASS = "bronze_types", "ocsf_type__"
_CONFIG = ("materialized", "column_types", "delimiter", "pre-hook", "post-hook")
_NOT_OF_ROWS = {"exports", "owner", "alert_channel", "retention_days", "contract_version", "freshness", "kept", "notes"}
_KEPT = "made_of.json"  # beside the manifest: the parts of all tables, and what they were computed of
_MADE_BY = ("lake", "orchestration/dbt")  # code that decides what a part's digest is
_REF = re.compile(r"""ref \( (?:"[^"]*"|'[^']*') \) ?,? ?""")


class Fingerprints:
    """The parts of a project's tables."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest = folder, manifest
        self._nodes, self._macros = manifest["nodes"], manifest["macros"]
        self._package = manifest["metadata"]["project_name"]
        self._called = lru_cache(maxsize=None)(self._called_by)
        self._macro = lru_cache(maxsize=None)(self._macro_digest)
        self._classes = declared_classes(folder)
        self._events = lru_cache(maxsize=None)(lambda name, enriched: events_version(self._classes[name], enriched))
        self._seed = lru_cache(maxsize=None)(lambda file: [*read_seed(file).rows.values()])
        hooks = [node for node in self._nodes.values() if node["resource_type"] == "operation"]
        self._hooks = self._closure(macro for node in hooks for macro in node["depends_on"]["macros"])

    def parts_of(self, unique_id: str) -> dict[str, str]:
        """Return what a table (`<table>__<source>`, or a mart) is made of, as people call it, each with a digest."""
        node = self._nodes[unique_id]
        table, _, source = node["name"].partition("__")
        parts: dict[str, object] = {}
        macros = {*self._hooks, *self._closure(self._types(table, node))}
        for each in self._made_of(unique_id):
            found = self._nodes.get(each) or self._manifest["sources"][each]
            kind, name = found["resource_type"], found["name"]
            if kind == "source":
                fields = [(field, has.get("data_type")) for field, has in found["columns"].items()]
                parts[f"contract of {name}"] = (fields, _config(found))
                continue
            parts[f"properties of {name}"] = _config(found)
            if kind == "seed":
                notes = found["config"].get("meta", {}).get("notes", ())
                parts[f"seed {name}"] = _counted(self._seed(self._folder / found["original_file_path"]), source, notes)
            else:
                parts[f"model {name}"] = self._sql(found)
                macros |= self._closure([*found["depends_on"]["macros"], self._materialization(found)])
        if (name := _class(table, node)) in self._classes:
            parts[f"OCSF events of {name}"] = self._events(name, bool(source))
        digests = {name: _digest(json.dumps(part, sort_keys=True, default=str)) for name, part in parts.items()}
        return digests | {self._macro_name(each): self._macro(each) for each in macros}

    def macros_of(self, unique_id: str) -> set[str]:
        """Return the ids of the macros that a model runs: those it calls, directly or not, and those of every run."""
        node = self._nodes[unique_id]
        return self._hooks | self._closure([*node["depends_on"]["macros"], self._materialization(node)])

    def _made_of(self, unique_id: str) -> set[str]:
        """Return a table, and what it reads down to other tables: views, seeds, bronze sources."""
        found = {unique_id}
        for each in self._nodes[unique_id]["depends_on"]["nodes"]:
            if each in self._nodes and self._nodes[each]["config"].get("materialized") in ("view", "ephemeral"):
                found |= self._made_of(each)
            elif each.startswith("seed.") or each.startswith(f"source.{self._package}.bronze."):
                found.add(each)
        return found

    def _sql(self, node: Mapping[str, Any]) -> str:
        """Return what counts of a model's SQL; of a class over all its sources, not which these are."""
        sql = read_text(node["raw_code"]).tokens
        read = [each.rsplit(".", 1)[-1] for each in node["depends_on"]["nodes"]]
        is_class = node["config"]["materialized"] == "view" and all(
            each.startswith(f"{node['name']}__") for each in read
        )
        return _REF.sub("", sql) if read and is_class else sql

    def _macro_digest(self, macro: str) -> str:
        text = read_text(self._macros[macro]["macro_sql"])
        return _digest(text.plain if self._macros[macro]["name"] in self._in_quotes else text.tokens)

    def _macro_name(self, macro: str) -> str:
        name = str(self._macros[macro]["name"])
        return f"class {name.removeprefix(_CLASS)}" if name.startswith(_CLASS) else f"macro {name}"

    @cached_property
    def _in_quotes(self) -> set[str]:
        """Return the macros that give a part of a text literal, where white space and dashes count."""
        own = [each["macro_sql"] for each in self._macros.values() if each["package_name"] == self._package]
        texts: list[Text] = [read_text(each) for each in own]
        texts += [read_text(each["raw_code"]) for each in self._nodes.values() if each["resource_type"] == "model"]
        named = set().union(*(each.in_quotes for each in texts))
        called = self._closure(f"macro.{self._package}.{name}" for name in named)
        return {self._macros[each]["name"] for each in called}

    def _types(self, table: str, node: Mapping[str, Any]) -> list[str]:
        return [f"macro.{self._package}.{_CLASS}{_class(table, node)}"]

    def _materialization(self, node: Mapping[str, Any]) -> str:
        return f"macro.{self._package}.materialization_{node['config']['materialized']}_duckdb"

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


class _Kept(msgspec.Struct, frozen=True):
    key: str
    digest: str  # of the parts, so that a damaged file is not used
    parts: Parts


def kept_parts(folder: Path, files_digest: str, compute: Callable[[], Parts]) -> Parts:
    """Return the parts of a project's tables as they were computed before of the same files, else compute them.

    Computing takes more than a second. What was kept counts for the same files of the project, by the same code.
    """
    key = _key(folder, files_digest)
    for target in targets(folder):
        with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            found = msgspec.json.decode((target / _KEPT).read_bytes(), type=_Kept)
            if found.key == key and found.digest == _digest(repr(found.parts)):
                return found.parts
    parts = compute()
    for target in targets(folder):
        with suppress(OSError):
            target.mkdir(parents=True, exist_ok=True)
            fresh = target / f".{_KEPT}-{os.getpid()}"
            fresh.write_bytes(msgspec.json.encode(_Kept(key, _digest(repr(parts)), parts)))
            fresh.replace(target / _KEPT)
            break
    return parts


def _key(folder: Path, files_digest: str) -> str:
    """Return a digest of everything that the parts of tables are computed of, code included."""
    whole = hashlib.sha256(f"{files_digest} {version('jinja2')}".encode())
    code = (path for room in _MADE_BY for path in (TOP / room).rglob("*.py"))
    for path in sorted([*code, *(path for path in (folder / "ocsf").rglob("*") if path.is_file())]):
        whole.update(f"\0{path}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def _class(table: str, node: Mapping[str, Any]) -> str:
    """Return the OCSF class of a table, if it has one."""
    return str(node["config"].get("meta", {}).get("ocsf_class") or table)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _config(node: Mapping[str, Any]) -> dict[str, object]:
    config = node["config"]
    meta = {name: value for name, value in (config.get("meta") or {}).items() if name not in _NOT_OF_ROWS}
    return {**{name: config[name] for name in _CONFIG if config.get(name)}, "meta": meta}


def _counted(rows: list[Mapping[str, str]], source: str, notes: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows of a seed that count for a source, in an order of their own, without columns that are notes."""
    if source and rows and "source" in rows[0]:
        rows = [row for row in rows if row["source"] == source]
    kept = [{name: value for name, value in row.items() if name not in notes} for row in rows]
    return sorted(kept, key=lambda row: [str(value) for value in row.values()])
