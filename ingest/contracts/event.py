"""What identifies an event and when it happened: event key and event time candidates, checked against the fields."""

from pathlib import Path
from typing import Any, Final

from open_data_contract_standard.model import SchemaProperty

from ingest.contracts.errors import Place, one_of
from ingest.contracts.model import EventTime, Field

_FORMATS: Final = ("iso8601", "epoch_seconds", "epoch_millis", "epoch_micros", "epoch_nanos", "filetime")
_TIME_KEYS: Final = ("path", "format", "naiveIsUtc", "zoneFrom")
_KEY_TYPES: Final = ("string", "integer")
_FALLBACKS: Final = ("record_hash", "record_position")


def read_event_key(
    found: list[SchemaProperty], fields: tuple[Field, ...], fallback: str | None, file: Path
) -> tuple[str, ...]:
    """Paths of the fields marked primaryKey, by primaryKeyPosition; none if the position of a record is its key.

    Raises ContractError.
    """
    place = Place(file, "primaryKey")
    keys: dict[int, str] = {}
    for each, path in _with_paths(found, ""):
        if not each.primaryKey:
            continue
        position = each.primaryKeyPosition or 1
        if position in keys:
            raise Place(file, path).error(f"primaryKeyPosition {position} is taken by {keys[position]!r}")
        keys[position] = path
    if not keys and fallback != "record_position":
        raise place.error("missing event key: no field is marked primaryKey")
    for path in keys.values():
        declared_field(path, fields, _KEY_TYPES, Place(file, path))
    return tuple(keys[position] for position in sorted(keys))


def read_fallback(custom: dict[str, Any], place: Place) -> str | None:
    """What stands in where a record lacks its key, or None. Raises ContractError."""
    chosen = custom.get("eventKeyFallback")
    if chosen is not None and chosen not in _FALLBACKS:
        raise place.error(f"found {chosen!r}, {one_of(_FALLBACKS)}")
    return chosen


def read_event_times(custom: dict[str, Any], fields: tuple[Field, ...], place: Place) -> tuple[EventTime, ...]:
    """Time candidates in order of preference. Raises ContractError."""
    found = custom.get("eventTime") or []
    if not found:
        raise place.error("missing event time: expected a list of candidates with path and format")
    return tuple(_event_time(each, fields, place) for each in found)


def _event_time(found: Any, fields: tuple[Field, ...], place: Place) -> EventTime:
    if not isinstance(found, dict) or not isinstance(found.get("path"), str):
        raise place.error(f"found {found!r}, expected a mapping with path")
    unknown = sorted(set(map(str, found)) - set(_TIME_KEYS))
    if unknown:
        raise place.error(f"unknown key {unknown[0]!r}; {one_of(_TIME_KEYS)}")
    form = found.get("format", "iso8601")
    if form not in _FORMATS and not ("%" in str(form) and str(form).endswith("%z")):
        why = f"unknown time format {form!r}; {one_of(_FORMATS)}, or a strptime format that ends in %z"
        raise place.at(found["path"]).error(why)
    naive_is_utc = found.get("naiveIsUtc", False)
    if not isinstance(naive_is_utc, bool):
        raise place.at(found["path"]).error(f"naiveIsUtc: found {naive_is_utc!r}, expected true or false")
    types = ("string",) if form == "iso8601" or "%" in form else ("string", "integer", "number")
    declared_field(found["path"], fields, types, place)
    return EventTime(found["path"], form, naive_is_utc, _zone_from(found, fields, place))


def _zone_from(found: dict[str, Any], fields: tuple[Field, ...], place: Place) -> tuple[str, str] | None:
    pair = found.get("zoneFrom")
    if pair is None:
        return None
    if not isinstance(pair, list) or len(pair) != 2 or found.get("naiveIsUtc"):
        raise place.at(found["path"]).error("zoneFrom: expected two paths (local, UTC) and no naiveIsUtc")
    for each in pair:
        declared_field(str(each), fields, ("string",), place)
    return str(pair[0]), str(pair[1])


def declared_field(path: str, fields: tuple[Field, ...], types: tuple[str, ...], place: Place) -> Field:
    """The field at this path. Raises ContractError if it is not declared, inside a list or of another type."""
    found = next((each for field in fields for each in field.walk() if each.path == path), None)
    if found is None:
        raise place.error(f"{path!r} is not a declared field")
    if "[*]" in found.steps:
        raise place.error(f"{path!r} is inside a list")
    if found.type not in types:
        raise place.error(f"{path!r} is of type {found.type}, {one_of(types)}")
    return found


def _with_paths(found: list[SchemaProperty], holder: str) -> list[tuple[SchemaProperty, str]]:
    pairs: list[tuple[SchemaProperty, str]] = []
    for each in found:
        path = f"{holder}{each.name}"
        pairs.append((each, path))
        pairs.extend(_with_paths(each.properties or [], f"{path}."))
        if each.items is not None:
            pairs.append((each.items, f"{path}[*]"))
            pairs.extend(_with_paths(each.items.properties or [], f"{path}[*]."))
    return pairs
