"""Durations as ODCS writes service levels: a value and a unit (`s`, `m` or `min`, `h`, `d`, `w`, `y`)."""

from datetime import timedelta
from typing import Final

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
