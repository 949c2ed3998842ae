"""What only some contracts declare: a format of lines, records that are no events, batches that a marker completes."""

import re
from typing import Any, Final

from ingest.contracts.fields import Place, one_of, only_keys, texts
from ingest.contracts.model import CompleteBatch, CoverageRule, Field, Format, header_names

_FORMAT_KEYS: Final = {
    "json": ("kind", "xml"),
    "delimited": ("kind", "delimiter", "header", "headerField", "columns", "nulls"),
    "pattern": ("kind", "pattern", "nulls"),
}
_XML: Final = ("windows_event",)
_COVERAGE_KEYS: Final = ("field", "idle", "lost", "by", "interval")
_TEXT_TYPES: Final = ("string", "integer", "number", "boolean")


def read_optional(custom: dict[str, Any], fields: tuple[Field, ...], top: Place) -> dict[str, Any]:
    """The values of `Contract` by name. Raises ContractError naming the custom property."""
    found: dict[str, Any] = {}
    if "format" in custom:
        found["format"] = _format(custom["format"], fields, top.at("format"))
    if "coverage" in custom:
        found["coverage"] = _coverage(custom["coverage"], fields, top.at("coverage"))
    if "completeBatch" in custom:
        found["complete_batch"] = _complete_batch(custom["completeBatch"], top.at("completeBatch"))
    if "api" in custom:
        from ingest.contracts.api import read_api  # objects and files do without

        found["api"] = read_api(custom["api"], top.at("api"))
    return found


def _format(found: dict[str, Any], fields: tuple[Field, ...], place: Place) -> Format:
    kind = found.get("kind")
    if kind not in _FORMAT_KEYS:
        raise place.error(f"kind: found {kind!r}, {one_of(_FORMAT_KEYS)}")
    only_keys(found, _FORMAT_KEYS[kind], place)
    if kind == "json":
        if (xml := found.get("xml", "")) not in ("", *_XML):
            raise place.error(f"xml: found {xml!r}, {one_of(_XML)}")
        return Format(xml=xml)
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
    known = set(header_names(fields))
    for each in columns:
        if each.lower() not in known:
            raise place.error(f"columns: {each!r} is not a declared field")
    header_field = found.get("headerField")
    if header_field is not None and not any(each.name == header_field and each.type == "string" for each in fields):
        raise place.error(f"headerField: {header_field!r} is not a declared field of type string")
    return Format(
        kind="delimited",
        delimiter=delimiter,
        has_header=header == "first_line",
        header_field=header_field,
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


def _coverage(found: dict[str, Any], fields: tuple[Field, ...], place: Place) -> CoverageRule:
    """Which records say what was seen rather than what happened."""
    only_keys(found, _COVERAGE_KEYS, place)
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


def _complete_batch(found: dict[str, Any], place: Place) -> CompleteBatch:
    """Which batches are complete only once marked so."""
    only_keys(found, ("pattern", "marker"), place)
    marker, text = found.get("marker"), found.get("pattern")
    if not isinstance(marker, str) or not marker or "/" in marker:
        raise place.error(f"marker: found {marker!r}, expected the name of an object without its folder")
    try:
        pattern = re.compile(text) if isinstance(text, str) else None
    except re.error as error:
        raise place.error(f"pattern: not a regular expression: {error}") from None
    if pattern is None or "batch" not in pattern.groupindex:
        raise place.error("pattern: expected a regular expression with a group named batch: (?P<batch>...)")
    return CompleteBatch(pattern, marker)
