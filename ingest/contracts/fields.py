"""From ODCS schema properties to `Field`: types, names, flags, and what a violation does."""

from typing import Any, Final

from open_data_contract_standard.model import SchemaProperty

from ingest.contracts.custom import field_properties, read_custom, texts
from ingest.contracts.errors import Place, one_of
from ingest.contracts.model import Field
from ingest.contracts.paths import split_path

_LOGICAL_TYPES: Final = ("string", "integer", "number", "boolean", "object", "array")
_JSON_TYPES: Final = {"object": "map", "string": "any"}
_ACCEPTED: Final = ("string", "integer", "number", "boolean", "object", "array")
_VIOLATIONS: Final = ("quarantine", "null", "stall")


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
