"""How a source's data comes and is written: transport, names of objects, delivery time, format, coverage."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from ingest.contracts.layouts import read_layouts
from ingest.contracts.model import CompleteBatch, CoverageRule, Field, Format, header_names
from ingest.contracts.properties import Place, duration_text, one_of, only_keys, texts

_TRANSPORTS: Final = ("object_store", "http_cursor")
_WRAPPERS: Final = ("cloudwatch_logs", "eventbridge")
_NOTIFICATIONS: Final = ("s3_event", "crowdstrike_fdr")
_FORMAT_KEYS: Final = {
    "json": ("kind",),
    "delimited": ("kind", "delimiter", "header", "headerField", "columns", "nulls"),
    "pattern": ("kind", "pattern", "nulls"),
}
_COVERAGE_KEYS: Final = ("field", "idle", "lost", "by", "interval")
_TEXT_TYPES: Final = ("string", "integer", "number", "boolean")


def read_delivery(custom: dict[str, Any], place: Place) -> dict[str, Any]:
    """The values of `Contract` that the reading side needs before it sees a record.

    Raises ContractError naming the custom property.
    """
    transport = custom.get("transport", "object_store")
    if transport not in _TRANSPORTS:
        raise place.at("transport").error(f"found {transport!r}, {one_of(_TRANSPORTS)}")
    notifications = custom.get("notifications", "s3_event")
    if notifications not in _NOTIFICATIONS:
        raise place.at("notifications").error(f"found {notifications!r}, {one_of(_NOTIFICATIONS)}")
    pattern, arrival_format = _arrival(custom, place)
    return {
        "transport": transport,
        "wrappers": _wrappers(custom, place.at("wrappers")),
        "records_keys": texts(custom.get("recordsKeys", ["Records"]), "recordsKeys", place),
        "arrival_pattern": pattern,
        "arrival_format": arrival_format,
        "ignore": texts(custom.get("ignore"), "ignore", place),
        "future_tolerance": _tolerance(custom, place.at("futureTolerance")),
        "key_layouts": read_layouts(texts(custom.get("keyLayouts"), "keyLayouts", place), place.at("keyLayouts")),
        "notifications": notifications,
        "complete_batch": read_complete_batch(custom, place.at("completeBatch")),
    }


def _wrappers(custom: dict[str, Any], place: Place) -> tuple[str, ...]:
    found = texts(custom.get("wrappers"), "wrappers", place)
    for each in found:
        if each not in _WRAPPERS:
            raise place.error(f"found {each!r}, {one_of(_WRAPPERS)}")
    return found


def _tolerance(custom: dict[str, Any], place: Place) -> timedelta:
    try:
        return duration_text(custom.get("futureTolerance", "1 h"))
    except ValueError as error:
        raise place.error(str(error)) from None


def _arrival(custom: dict[str, Any], place: Place) -> tuple[re.Pattern[str] | None, str | None]:
    text, form = custom.get("arrivalPattern"), custom.get("arrivalFormat")
    if (text is None) != (form is None):
        raise place.at("arrivalPattern").error("arrivalPattern and arrivalFormat are given together")
    if text is None or form is None:
        return None, None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise place.at("arrivalPattern").error(f"not a regular expression: {error}") from None
    if "at" not in pattern.groupindex:
        raise place.at("arrivalPattern").error("expected a group named at: (?P<at>...)")
    try:
        datetime.strptime(datetime(2001, 2, 3, 4, 5, 6).strftime(form), form)
    except ValueError as error:
        raise place.at("arrivalFormat").error(f"not a strptime format: {error}") from None
    return pattern, form


def read_complete_batch(custom: dict[str, Any], place: Place) -> CompleteBatch | None:
    """Which batches are complete only once marked so; None without the property. Raises ContractError."""
    found = custom.get("completeBatch")
    if found is None:
        return None
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


def read_format(custom: dict[str, Any], fields: tuple[Field, ...], place: Place) -> Format:
    """Raises ContractError naming what is wrong; without the property records are JSON."""
    found = custom.get("format", {"kind": "json"})
    kind = found.get("kind")
    if kind not in _FORMAT_KEYS:
        raise place.error(f"kind: found {kind!r}, {one_of(_FORMAT_KEYS)}")
    only_keys(found, _FORMAT_KEYS[kind], place)
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


def read_coverage(custom: dict[str, Any], fields: tuple[Field, ...], place: Place) -> CoverageRule | None:
    """Which records say what was seen rather than what happened; None without the property. Raises ContractError."""
    found = custom.get("coverage")
    if found is None:
        return None
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
