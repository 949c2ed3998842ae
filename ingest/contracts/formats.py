"""How records are written where they are no JSON, and which of them tell of coverage instead of events.

Belongs here: the custom properties `format` and `coverage`, read and checked against the declared fields.
Does not belong here: cutting text into records (`ingest.decode`) or values out of them (`ingest.landing.read_text`).
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from ingest.contracts.custom import texts
from ingest.contracts.errors import Place, one_of
from ingest.contracts.model import CoverageRule, Field, Format

_KEYS: Final = {
    "json": ("kind",),
    "delimited": ("kind", "delimiter", "header", "headerField", "columns", "nulls"),
    "pattern": ("kind", "pattern", "nulls"),
}
_COVERAGE_KEYS: Final = ("field", "idle", "lost", "by", "interval")
_TEXT_TYPES: Final = ("string", "integer", "number", "boolean")


def read_format(custom: dict[str, Any], fields: tuple[Field, ...], place: Place) -> Format:
    """Raises ContractError naming what is wrong; without the property records are JSON."""
    found = custom.get("format", {"kind": "json"})
    kind = found.get("kind")
    if kind not in _KEYS:
        raise place.error(f"kind: found {kind!r}, {one_of(_KEYS)}")
    _only(found, _KEYS[kind], place)
    if kind == "json":
        return Format()
    for each in fields:
        if each.type not in _TEXT_TYPES:
            raise place.at(each.path).error(f"is of type {each.type}; in a {kind} format {one_of(_TEXT_TYPES)}")
    nulls = texts(found.get("nulls"), "nulls", place)
    if kind == "pattern":
        return Format(kind="pattern", pattern=_pattern(found, fields, place), nulls=nulls)
    return _delimited(found, fields, nulls, place)


def _delimited(found: dict[str, Any], fields: tuple[Field, ...], nulls: tuple[str, ...], place: Place) -> Format:
    delimiter, header = found.get("delimiter"), found.get("header", "none")
    if not isinstance(delimiter, str) or len(delimiter.encode()) != 1:
        raise place.error(f"delimiter: found {delimiter!r}, expected one character")
    if header not in ("first_line", "none"):
        raise place.error(f"header: found {header!r}, {one_of(('first_line', 'none'))}")
    columns = texts(found.get("columns"), "columns", place)
    if header == "none" and not columns:
        raise place.error("columns: missing; without a header line they say what stands where")
    known = set(spellings(fields))
    for each in columns:
        if each.lower() not in known:
            raise place.error(f"columns: {each!r} is not a declared field")
    held = found.get("headerField")
    if held is not None and not any(each.name == held and each.type == "string" for each in fields):
        raise place.error(f"headerField: {held!r} is not a declared field of type string")
    return Format(
        kind="delimited",
        delimiter=delimiter,
        has_header=header == "first_line",
        header_field=held,
        columns=columns,
        nulls=nulls,
    )


def _pattern(found: dict[str, Any], fields: tuple[Field, ...], place: Place) -> str:
    text = found.get("pattern")
    if isinstance(text, list):  # a long pattern in parts, one a line
        text = "".join(str(each) for each in text)
    try:
        groups = re.compile(text).groupindex if isinstance(text, str) else {}
    except re.error as error:
        raise place.error(f"pattern: not a regular expression: {error}") from None
    if not set(groups) & {each.name for each in fields}:
        raise place.error("pattern: expected groups named like fields: (?P<field>...)")
    return str(text)


def read_coverage(custom: dict[str, Any], fields: tuple[Field, ...], place: Place) -> CoverageRule | None:
    """Which records say what was seen rather than what happened; None without the property. Raises ContractError."""
    found = custom.get("coverage")
    if found is None:
        return None
    _only(found, _COVERAGE_KEYS, place)
    rule = CoverageRule(
        field=str(found.get("field")),
        idle=texts(found.get("idle"), "idle", place),
        lost=texts(found.get("lost"), "lost", place),
        by=texts(found.get("by"), "by", place),
        interval=texts(found.get("interval"), "interval", place),
    )
    types = {each.name: each.type for each in fields}
    for each in (rule.field, *rule.by):
        if types.get(each) != "string":
            raise place.error(f"{each!r} is not a declared field of type string")
    if rule.interval and (len(rule.interval) != 2 or any(types.get(each) != "integer" for each in rule.interval)):
        raise place.error("interval: expected two declared integer fields, start and end in epoch seconds")
    if not rule.idle and not rule.lost:
        raise place.error("expected values of the field under idle or lost")
    return rule


def spellings(fields: tuple[Field, ...]) -> Iterator[str]:
    """The names under which declared fields may stand in a header, in lower case."""
    for each in fields:
        yield each.name.lower()
        yield from (alias.lower() for alias in each.aliases)


def _only(found: dict[str, Any], keys: tuple[str, ...], place: Place) -> None:
    unknown = sorted(set(map(str, found)) - set(keys))
    if unknown:
        raise place.error(f"unknown key {unknown[0]!r}; {one_of(keys)}")
