"""What a text of a record says, and in which other forms rows have it. Pure functions over texts (`values.py` asks)."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any

import msgspec

_LITTLE = frozenset(("true", "false", "none", "null", "yes", "no", "unknown", "success", "other"))
PLACEHOLDERS = frozenset(("", "-"))
_SPLIT = re.compile(r'[\\/@=:"]+')
ESCAPED = re.compile(r"[^ !#-.0-\[\]-~]")  # what JSON may have another way
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_COMMON = frozenset(("id", "name", "type", "uid", "value", "is", "data", "info", "src", "dst", "source", "target"))
_ALIKE = {"pid": ("process",), "lat": ("latitude",), "long": ("lon", "longitude"), "num": ("number",)}
LITTLE_LENGTH = 7
_LIST = re.compile(r"[,;|\s]*[;,|\r\n\t][,;|\s]*| (?=HTTP/|/)")
_LABEL = re.compile(r"^[A-Za-z][A-Za-z0-9]{1,15}=")
_LABELLED = re.compile(r"^[^\S\n]*[^:\n]{1,60}:[^\S\n]+(\S.*)", re.MULTILINE)
_COMPOSITE = re.compile(r'[,;|\s\\/@=:"]')
_LONGEST = 1 << 16  # of a text that is taken apart
_LENIENT = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:infinity|inf|nan)\b|,(?=\s*[]}])', re.IGNORECASE)
_LONGEST_INTEGER = 4_000  # digits: Python reads no longer ones
SHORT = 200  # letters of texts that may come again

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def json_of(text: str) -> Any:
    """What a JSON text says; None where it is none."""
    try:
        return read_json(text)
    except (ValueError, RecursionError):
        return None


def read_json(text: str | bytes) -> Any:
    """What a text says that is JSON to DuckDB, which takes `-inf`, `NaN` and a comma at the end of a list.

    A number that no machine holds is the text that it is. Raises ValueError.
    """
    try:
        return _decode(text)
    except msgspec.DecodeError:
        strict = _LENIENT.sub(_strict, text.decode() if isinstance(text, bytes) else text)
        return json.loads(strict, parse_float=_held_number, parse_int=_held_integer)


def _strict(found: re.Match[str]) -> str:
    written = found[0]
    return written if written[0] == '"' else "" if written == "," else f'"{written}"'


def _held_number(text: str) -> float | str:
    number = float(text)
    return number if isfinite(number) else text


def _held_integer(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else text


def encoded(text: str) -> str:
    """A text as JSON has it, the same where that cannot be."""
    try:
        return _encode(text).decode()
    except UnicodeEncodeError:
        return text


def leaves(found: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of every value within a value; elements of a list have the path of the list."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from leaves(value, f"{path}.{name}")
    elif isinstance(found, list):
        for value in found:
            yield from leaves(value, path)
    elif found is not None:
        yield path, text_of(found)


def text_of(value: Any) -> str:
    """A value as DuckDB writes it as text."""
    if value.__class__ is str:
        return str(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is float and value.is_integer() and abs(value) < 1e18:
        return str(int(value))
    return str(value)


def is_little(text: str) -> bool:
    """Whether a text says so little that it stands in many rows by chance."""
    return len(text) <= LITTLE_LENGTH and says_little(text)


@lru_cache(maxsize=65536)
def says_little(text: str) -> bool:
    """The same of a short text."""
    if len(text) < 3 or text.lower() in _LITTLE:
        return True
    if text[0] not in "0123456789-" or (len(text) > 4 and text[:2] == "0x"):
        return False
    number = number_in(text)
    return number is not None and abs(number) < 1000


def number_in(text: str) -> float | None:
    """The number that a text is, decimal or hexadecimal; None where it is none."""
    try:
        return int(text, 16) if text[:2] in ("0x", "0X") else float(text)
    except ValueError:
        return None


def other_forms(text: str) -> tuple[str, ...]:
    """The same number, time, address or name as rows have it: in decimal, in milliseconds, without a zone or a dot."""
    if text[0] in "0123456789-":
        if TIME.match(text):
            try:
                at = datetime.fromisoformat(text.strip())
            except (ValueError, OverflowError):
                return ()
            return (str(round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)),)
        number = number_in(text) if text.count("-") < 3 else None
        if number is not None:
            return _other_numbers(text, number)
    if text[:7].lower() == "::ffff:":
        return (text[7:].lower(),)
    if "%" in text and ":" in text:
        return (text.split("%")[0].lower(),)
    return (text[:-1].lower(),) if text[-1] == "." else ()


def _other_numbers(text: str, number: float) -> tuple[str, ...]:
    if number != number or abs(number) > 1e30:
        return ()
    if number != int(number):
        return (str(round(number * 1000)),) if 1e8 < number < 1e10 else ()
    whole = int(text, 16) if text[:2] in ("0x", "0X") else int(text) if text.lstrip("-").isdigit() else int(number)
    found = [str(whole)]
    for size, many, few in ((1e9, 1000, 1), (1e15, 1, 1000), (1e18, 1, 1_000_000)):  # seconds, micro-, nanoseconds
        if size / 10 < whole < size * 10:
            found.append(str(whole * many // few))
    return tuple(found)


@lru_cache(maxsize=65536)
def plain_number(text: str) -> str:
    """A number as text, whole ones without a point."""
    number = number_in(text)
    return str(int(number)) if number is not None and number == number and abs(number) < 1e18 else text


def forms_of(text: str) -> tuple[str, ...]:
    """A text in the forms in which a row may have it."""
    folded, stripped = text.lower(), text.strip().lower()
    return (stripped, *other_forms(text)) if folded == stripped else (folded, stripped, *other_forms(text))


short_forms = lru_cache(maxsize=65536)(forms_of)


def parts_of(text: str) -> tuple[str, ...]:
    """The values that a composite text is made of; none of a text that is no such list.

    Of `NAME=value` and of a line `Label: value` that is the value. What stands on a line without a label is prose.
    """
    if len(text) > _LONGEST or not _COMPOSITE.search(text) or TIME.match(text):
        return ()
    if found := labelled(text):
        lower = [each.lower() for each in found]
        pieces = [each for each in lower if each not in PLACEHOLDERS and not is_little(each)]
    else:
        pieces = [_LABEL.sub("", each.strip()).lower() for each in _LIST.split(text)]
        pieces = [each for each in pieces if each and not _is_nothing(each)]
    if not pieces or all(map(is_little, pieces)):
        return ()
    return () if len(pieces) == 1 and smaller_parts(pieces[0]) in ((), (text.lower(),)) else tuple(pieces)


def labelled(text: str) -> list[str]:
    """The values of the lines `Label: value` behind the first line of a text; none of a text of one line or two."""
    if len(text) > _LONGEST or text.count("\n") < 2:
        return []
    return [each.strip() for each in _LABELLED.findall(text, text.index("\n"))]


short_parts = lru_cache(maxsize=65536)(parts_of)


def smaller_parts(part: str) -> tuple[str, ...]:
    """What a part is made of itself."""
    return tuple(filter(None, _SPLIT.split(part)))


@lru_cache(maxsize=4096)
def pieces(text: str) -> frozenset[str]:
    """The values and parts of a composite text that say something."""
    return frozenset(each for part in parts_of(text) for each in (part, *smaller_parts(part)) if not is_little(each))


def _is_nothing(text: str) -> bool:
    return not text.strip("0{}-")


def words(path: str) -> frozenset[str]:
    """The words of a name that say what it names."""
    found = {each.lower() for each in _WORD.findall(path)}
    for each in tuple(found):
        found.update(_ALIKE.get(each, ()))
    return frozenset(found - _COMMON)


def forget() -> None:
    """Give back the memory of what was found out about texts: up to 100 MiB."""
    for each in (says_little, plain_number, short_forms, short_parts, pieces):
        each.cache_clear()
