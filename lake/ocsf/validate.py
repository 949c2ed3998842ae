"""Published rows, turned back into the events they stand for and checked with the official OCSF JSON Schema itself."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import jsonschema_rs
import msgspec
from duckdb.sqltypes import DuckDBPyType
from jsonschema_rs import ValidationErrorKind
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_packaged_versions

from lake.base.sql import listed, quoted
from lake.ocsf.columns import children
from lake.ocsf.official import official

_LONGEST_MESSAGE = 200
_KINDS = {
    "additionalProperties": "unknown",
    "anyOf": "at_least_one",
    "const": "enum",
    "maxLength": "length",
    "maximum": "range",
    "minimum": "range",
    "oneOf": "just_one",
    "pattern": "format",
}

_VERSIONS = get_packaged_versions()

Event = dict[str, Any]
_ROWS_AT_ONCE = 2048
_PARTS = 1_000_000
_decoder = msgspec.json.Decoder()


def event_texts(relation: duckdb.DuckDBPyRelation, share: float = 1.0) -> Iterator[str]:
    """Yield the rows as JSON texts without the pipeline's columns and without NULL columns and fields.

    Nulls in lists, and in objects in lists, are kept. `share` in 0..1 is the part of the rows wanted: those whose hash
    of `metadata.uid` falls below it, so the same ones every time, and all rows without a uid.
    """
    columns = [
        (quoted(name), type_)
        for name, type_ in zip(relation.columns, relation.types, strict=True)
        if not name.startswith("_")
    ]
    filled = _filled(relation, [node for name, type_ in columns for node in _nodes(name, type_)])
    chosen = [column for column in columns if column[0] in filled] or columns[:1]
    wanted = ", ".join(f"{_written(name, type_, filled)} AS {name}" for name, type_ in chosen)
    parts = round(share * _PARTS)
    sample = "" if share == 1 else f"WHERE coalesce(md5_number_lower(metadata.uid) % {_PARTS} < {parts}, true)"
    # An RFC 7396 merge into nothing drops the null fields of objects, though not of objects in lists.
    rows = relation.query(
        "event_table",
        f"SELECT CAST(json_merge_patch('{{}}', to_json(event)) AS VARCHAR) "
        f"FROM (SELECT {wanted} FROM event_table {sample}) AS event",
    )
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield from (row[0] for row in batch)


def _nodes(expression: str, type_: DuckDBPyType) -> Iterator[str]:
    """Yield the SQL of a column and of every field below it, down to lists."""
    yield expression
    if type_.id == "struct":
        for name, inner in children(type_):
            yield from _nodes(f"{expression}.{quoted(name)}", inner)


def _filled(relation: duckdb.DuckDBPyRelation, nodes: list[str]) -> frozenset[str]:
    """Return the nodes that are not NULL in some row: most attributes of a class are empty in most tables."""
    counts = relation.aggregate(", ".join(f"count({node})" for node in nodes)).fetchone() or ()
    return frozenset(node for node, count in zip(nodes, counts, strict=True) if count)


def _written(expression: str, type_: DuckDBPyType, filled: frozenset[str]) -> str:
    """Return SQL for the value of a column or field in the event, objects with their filled fields only."""
    if str(type_).startswith("TIMESTAMP"):
        return f"strftime({expression}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    if expression == '"unmapped"' and type_.id == "varchar":
        return f"CAST({expression} AS JSON)"
    if type_.id != "struct":
        return expression
    fields = [(quoted(name), inner) for name, inner in children(type_)]
    wanted = [field for field in fields if f"{expression}.{field[0]}" in filled] or fields[:1]
    inner = ", ".join(f"{name} := {_written(f'{expression}.{name}', below, filled)}" for name, below in wanted)
    return f"CASE WHEN {expression} IS NOT NULL THEN struct_pack({inner}) END"


@dataclass(frozen=True)
class Finding:
    """What is wrong with one event: the rule as rules.py names it, and the validator's words."""

    rule: str
    message: str


@dataclass(frozen=True)
class Example:
    """An invalid row: its `metadata.uid` (None when absent) and everything found in it."""

    uid: str | None
    findings: tuple[Finding, ...]


@dataclass
class ValidationReport:
    """The outcome for one table: rows in it, rows checked, rows invalid, and how often each rule was broken."""

    class_name: str
    rows: int = 0
    checked: int = 0
    invalid: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)
    seconds: float = 0.0


def validate_table(
    table: duckdb.DuckDBPyRelation | Path | str | Sequence[Path | str],
    class_name: str,
    share: float = 1.0,
    examples: int = 5,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> ValidationReport:
    """Validate a table of one class: a DuckDB relation, or the paths or globs of its Parquet files.

    `share` in 0..1 is the part of the rows that is checked, chosen by a hash of `metadata.uid`: the same rows on every
    run; rows without a uid are always checked. `examples` is how many invalid rows the report keeps.
    Raises LookupError for a class that OCSF does not know and ValueError for a share outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected 0..1, found {share}")
    relation = table if isinstance(table, duckdb.DuckDBPyRelation) else _parquet(table, connection)
    started = time.perf_counter()
    report = ValidationReport(class_name, rows=_count(relation))
    for text in event_texts(relation, share):
        report.checked += 1
        event, findings = validate_event_text(text, class_name)
        if findings:
            report.invalid += 1
            report.by_rule.update({finding.rule for finding in findings})
            if len(report.examples) < examples:
                report.examples.append(Example(_metadata(event).get("uid"), findings))
    report.seconds = time.perf_counter() - started
    return report


def validate_event_text(text: str, class_name: str) -> tuple[Event, tuple[Finding, ...]]:
    """Return the event that a JSON text holds, and what the official schema finds wrong with it (nothing: valid)."""
    try:
        event = _decoded(text)
    except ValueError as problem:
        return {}, (Finding("json(event)", str(problem)[:_LONGEST_MESSAGE]),)
    return event, validate_event(event, class_name)


def validate_event(event: Event, class_name: str) -> tuple[Finding, ...]:
    """Return what the official schema of the event's own version and profiles finds wrong with it."""
    metadata = _metadata(event)
    version, profiles = metadata.get("version"), metadata.get("profiles") or ()
    if version not in _VERSIONS:
        return (Finding("version(metadata.version)", f"{version!r} is no OCSF version that can be checked"),)
    known = official(version).definition["profiles"]
    strange = tuple(
        Finding("profile(metadata.profiles[])", f"{profile!r} is no profile")
        for profile in profiles
        if profile not in known
    )
    validator = _validator(version, class_name, tuple(sorted(known.keys() & set(profiles))))
    if validator.is_valid(event):
        return strange
    return strange + tuple(finding for error in validator.iter_errors(event) for finding in _findings(error))


@lru_cache(maxsize=256)
def _validator(version: str, class_name: str, profiles: tuple[str, ...]) -> jsonschema_rs.Validator:
    schema = OcsfJsonSchemaEmbedded(official(version).definition)
    return jsonschema_rs.validator_for(schema.get_class_schema(official(version).class_key(class_name), list(profiles)))


def _parquet(
    paths: Path | str | Sequence[Path | str], connection: duckdb.DuckDBPyConnection | None
) -> duckdb.DuckDBPyRelation:
    names = [paths] if isinstance(paths, Path | str) else paths
    # The partition folders repeat what stands in the pipeline's columns; they are no attributes.
    return (connection or duckdb.connect()).sql(
        f"SELECT * FROM read_parquet({listed(map(str, names))}, hive_partitioning => false)"
    )


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    counted = relation.aggregate("count(*)").fetchone()
    return int(counted[0]) if counted else 0


def _decoded(text: str) -> Event:
    """Decode an event; DuckDB's JSON also holds NaN, which only Python's own reader takes."""
    try:
        event = _decoder.decode(text)
    except msgspec.DecodeError:
        event = json.loads(text)
    wanted: Event = _without_nulls(event) if "null" in text else event
    return wanted


def _without_nulls(value: Any) -> Any:
    """Return the value without the null fields of its objects; a null in a list stays, for it is a mistake."""
    if type(value) is dict:
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if type(value) is list:
        return [_without_nulls(inner) for inner in value]
    return value


def _metadata(event: Event) -> Event:
    metadata = event.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _findings(error: jsonschema_rs.ValidationError) -> Iterator[Finding]:
    path = _path(error.instance_path)
    message = error.message if len(error.message) <= _LONGEST_MESSAGE else error.message[:_LONGEST_MESSAGE] + "…"
    if isinstance(error.kind, ValidationErrorKind.Required):
        yield Finding(f"required({_joined(path, error.kind.property)})", message)
    elif isinstance(error.kind, ValidationErrorKind.AdditionalProperties):
        yield from (Finding(f"unknown({_joined(path, name)})", message) for name in error.kind.unexpected)
    else:
        keyword = error.kind.name
        yield Finding(f"{_KINDS.get(keyword, keyword)}({path or 'event'})", message)


def _path(steps: Iterable[str | int]) -> str:
    """Return `a[].b` for the steps a, 0, b."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
