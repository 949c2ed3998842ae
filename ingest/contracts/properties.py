"""What every part of reading a contract uses: the error and its place, custom properties, durations.

ODCS's `customProperties` hold what ODCS has no place for: each name is known, and each value's shape is checked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from open_data_contract_standard.model import CustomProperty

from lake.base.errors import WRONG_CALL, HeadwaterError


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


def only_keys(found: Iterable[object], known: Iterable[str], place: Place) -> None:
    """Check the keys of a mapping. Raises ContractError."""
    unknown = sorted(set(map(str, found)) - set(known))
    if unknown:
        raise place.error(f"unknown key {unknown[0]!r}; {one_of(known)}")


def _shape_name(shape: Shape) -> str:
    shapes = shape if isinstance(shape, tuple) else (shape,)
    names = {str: "a text", list: "a list", bool: "true or false", dict: "a mapping"}
    return " or ".join(names[each] for each in shapes)


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
