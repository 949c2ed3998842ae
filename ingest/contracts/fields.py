"""What every part of reading a contract uses, and the fields: from ODCS schema properties to `Field`.

First the error and its place, custom properties, durations. ODCS's `customProperties` hold what ODCS has no place for:
each name is known, and each value's shape is checked. Then the fields, among them those that identify an event and say
when it happened.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from open_data_contract_standard.model import CustomProperty, SchemaProperty

from ingest.contracts.model import EventTime, Field, split_path
from lake.base.errors import WRONG_CALL, HeadwaterError

_LOGICAL_TYPES: Final = ("string", "integer", "number", "boolean", "object", "array")
_JSON_TYPES: Final = {"object": "map", "string": "any"}
_ACCEPTED: Final = ("string", "integer", "number", "boolean", "object", "array")
_VIOLATIONS: Final = ("quarantine", "null", "stall")
_FORMATS: Final = ("iso8601", "epoch_seconds", "epoch_millis", "epoch_micros", "epoch_nanos", "filetime")
_TIME_KEYS: Final = ("path", "format", "naiveIsUtc", "zoneFrom")
_KEY_TYPES: Final = ("string", "integer")
_FALLBACKS: Final = ("record_hash", "record_position")


class ContractError(HeadwaterError, ValueError):
    """A contract cannot be used. One line: `<file>: <field>: <what is wrong>`."""

    exit_code = WRONG_CALL


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file: knows how to say what is wrong there."""

    file: Path
    field: str

    def error(self, what: str) -> ContractError:
        """The error to raise, on one line."""
        return ContractError(" ".join(f"{self.file}: {self.field}: {what}".split()))

    def at(self, field: str) -> "Place":
        """Another place in the same file."""
        return Place(self.file, field)


def one_of(allowed: Iterable[str]) -> str:
    """The allowed words, for a message."""
    return "expected one of " + ", ".join(sorted(allowed))


Shape = type | tuple[type, ...]

contract_properties: Final[Mapping[str, Shape]] = {
    "transport": str,
    "eventTime": list,
    "eventKeyFallback": str,
    "futureTolerance": str,
    "stallAbove": (int, float),
    "volatile": list,
    "recordsKeys": list,
    "wrappers": list,
    "layouts": bool,
    "arrivalPattern": str,
    "arrivalFormat": str,
    "ignore": list,
    "keyLayouts": list,
    "notifications": str,
    "vendor": str,
    "openRecord": bool,
    "completeBatch": dict,
    "format": dict,
    "coverage": dict,
    "placeholders": list,
    "coded": dict,
    "dropped": dict,
    "kept": list,
    "api": dict,
}

field_properties: Final[Mapping[str, Shape]] = {
    "accepts": list,
    "aliases": list,
    "onViolation": str,
    "caseInsensitive": bool,
    "fieldsInside": bool,
}


def read_custom(found: list[CustomProperty] | None, known: Mapping[str, Shape], place: Place) -> dict[str, Any]:
    """Values by name. Raises ContractError for unknown or repeated names and values of another shape."""
    values: dict[str, Any] = {}
    for each in found or []:
        name = each.property
        if name is None or name not in known:
            raise place.error(f"unknown custom property {name!r}; {one_of(known)}")
        if name in values:
            raise place.error(f"custom property {name} given twice")
        if not isinstance(each.value, known[name]):
            raise place.error(f"custom property {name}: found {each.value!r}, expected {_shape_name(known[name])}")
        values[name] = each.value
    return values


def texts(value: list[object] | None, name: str, place: Place) -> tuple[str, ...]:
    """A list of non-empty texts. Raises ContractError."""
    for each in value or []:
        if not isinstance(each, str) or not each:
            raise place.error(f"custom property {name}: found {each!r}, expected a list of texts")
    return tuple(str(each) for each in value or [])


def choice(custom: Mapping[str, Any], name: str, allowed: tuple[str, ...], place: Place) -> str:
    """The value of a property that is one of some words; left out, the first. Raises ContractError."""
    chosen = str(custom.get(name, allowed[0]))
    if chosen not in allowed:
        raise place.at(name).error(f"found {chosen!r}, {one_of(allowed)}")
    return chosen


def only_keys(found: Iterable[object], known: Iterable[str], place: Place) -> None:
    """Check the keys of a mapping. Raises ContractError."""
    unknown = sorted(set(map(str, found)) - set(known))
    if unknown:
        raise place.error(f"unknown key {unknown[0]!r}; {one_of(known)}")


def _shape_name(shape: Shape) -> str:
    shapes = shape if isinstance(shape, tuple) else (shape,)
    names = {str: "a text", list: "a list", bool: "true or false", dict: "a mapping"}
    return " or ".join(dict.fromkeys(names.get(each, "a number") for each in shapes))


_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}


def duration(value: object, unit: str | None) -> timedelta:
    """The time span. Raises ValueError when the value is no positive number or the unit is unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"expected a positive number, found {value!r}")
    if unit not in _UNITS:
        raise ValueError(f"expected a unit of {', '.join(_UNITS)}, found {unit!r}")
    try:
        return value * _UNITS[unit]
    except OverflowError:
        raise ValueError(f"too long: {value!r} {unit}") from None


def duration_text(text: object) -> timedelta:
    """The same from one text such as `1 h`. Raises ValueError."""
    number, _, unit = str(text).strip().partition(" ")
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"expected a number and a unit such as '1 h', found {text!r}") from None
    return duration(value, unit.strip() or None)


_FOLDERS = ("date", "hour")  # a column of that name would decide in which folder a row lies


def read_fields(found: list[SchemaProperty] | None, parent: Field | None, place: Place) -> tuple[Field, ...]:
    """The declared fields in order.

    Names may not repeat: DuckDB compares names without regard to case, so neither may `ARN` and `arn`.
    """
    fields: list[Field] = []
    seen: dict[str, str] = {}
    for position, each in enumerate(found or [], start=1):
        name = each.name
        if not name or '"' in name or name == "[*]":
            raise place.error(f"property {position} has no usable name, found {name!r}")
        here = place.at(f"{parent.path}.{name}" if parent else name)
        if parent is None and name.lower() in _FOLDERS:
            raise here.error("the lake's folders are called so: give the field another name, and this one as an alias")
        if name.lower() in seen:
            raise here.error(f"duplicate name, declared before as {seen[name.lower()]!r}")
        seen[name.lower()] = name
        fields.append(read_field(each, name, parent, here))
    return tuple(fields)


def read_field(found: SchemaProperty, name: str, parent: Field | None, place: Place) -> Field:
    """One field with everything inside it. Raises ContractError naming the field."""
    custom = read_custom(found.customProperties, field_properties, place)
    kind = _type(found, place)
    steps = (*parent.steps, name) if parent else (name,)
    path = place.field
    itself = Field(name=name, path=path, type=kind, steps=steps)
    required = bool(found.required)
    return Field(
        name=name,
        path=path,
        type=kind,
        steps=steps,
        required=required,
        on_violation=_on_violation(custom, required or bool(found.primaryKey), place),
        classification=found.classification,
        description=" ".join((found.description or "").split()),
        accepts=_accepts(custom, kind, place),
        properties=_properties(found, itself, place),
        items=_items(found, itself, place),
        aliases=_aliases(custom, steps, place),
        case_insensitive=bool(custom.get("caseInsensitive", False)),
        fields_inside=bool(custom.get("fieldsInside", False)),
    )


def _type(found: SchemaProperty, place: Place) -> str:
    """With physicalType JSON, an object is a map and a string is any JSON value: both are kept as JSON text."""
    if found.logicalType not in _LOGICAL_TYPES:
        raise place.error(f"unknown type {found.logicalType!r}; {one_of(_LOGICAL_TYPES)}")
    if (found.physicalType or "").upper() != "JSON":
        return found.logicalType
    if found.logicalType not in _JSON_TYPES:
        raise place.error(f"physicalType JSON with logicalType {found.logicalType!r}; {one_of(_JSON_TYPES)}")
    return _JSON_TYPES[found.logicalType]


def _properties(found: SchemaProperty, itself: Field, place: Place) -> tuple[Field, ...]:
    if itself.type != "object":
        if found.properties:
            raise place.error(f"has properties but is of type {itself.type}")
        return ()
    if not found.properties:
        raise place.error("an object declares its properties; an open object has physicalType JSON")
    return read_fields(found.properties, itself, place)


def _items(found: SchemaProperty, itself: Field, place: Place) -> Field | None:
    if itself.type != "array":
        if found.items is not None:
            raise place.error(f"has items but is of type {itself.type}")
        return None
    if found.items is None:
        return None
    return read_field(found.items, "[*]", itself, place.at(f"{itself.path}[*]"))


def _on_violation(custom: dict[str, Any], strict: bool, place: Place) -> str:
    chosen = str(custom.get("onViolation", "quarantine" if strict else "null"))
    if chosen not in _VIOLATIONS:
        raise place.error(f"onViolation: found {chosen!r}, {one_of(_VIOLATIONS)}")
    return chosen


def _accepts(custom: dict[str, Any], kind: str, place: Place) -> tuple[str, ...]:
    accepted = texts(custom.get("accepts"), "accepts", place)
    for each in accepted:
        if each not in _ACCEPTED:
            raise place.error(f"accepts: found {each!r}, {one_of(_ACCEPTED)}")
        if each == kind:
            raise place.error(f"accepts: {each} is the declared type itself")
        if (kind, each) == ("number", "integer"):
            raise place.error("accepts: a number may always be an integer")
    return accepted


def _aliases(custom: dict[str, Any], steps: tuple[str, ...], place: Place) -> tuple[str, ...]:
    aliases = texts(custom.get("aliases"), "aliases", place)
    for each in aliases:
        try:
            path = split_path(each)
        except ValueError as error:
            raise place.error(f"aliases: {error}") from None
        if path == steps[-1:]:
            raise place.error(f"aliases: {each!r} is the field's own name")
    if aliases and "[*]" in steps:
        raise place.error("aliases: not supported inside a list")
    return aliases


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
    """The key of a record whose key fields are empty, or None. Raises ContractError."""
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
    only_keys(found, _TIME_KEYS, place)
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
