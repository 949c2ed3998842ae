"""ODCS `customProperties`: what ODCS has no place for, each name known and each value's shape checked."""

from collections.abc import Mapping
from typing import Any, Final

from open_data_contract_standard.model import CustomProperty

from ingest.contracts.errors import Place, one_of

Shape = type | tuple[type, ...]

contract_properties: Final[Mapping[str, Shape]] = {
    "transport": str,
    "eventTime": list,
    "eventKeyFallback": str,
    "futureTolerance": str,
    "volatile": list,
    "recordsKeys": list,
    "wrappers": list,
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
}

field_properties: Final[Mapping[str, Shape]] = {
    "accepts": list,
    "aliases": list,
    "onViolation": str,
    "caseInsensitive": bool,
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


def _shape_name(shape: Shape) -> str:
    shapes = shape if isinstance(shape, tuple) else (shape,)
    names = {str: "a text", list: "a list", bool: "true or false", dict: "a mapping"}
    return " or ".join(names[each] for each in shapes)
