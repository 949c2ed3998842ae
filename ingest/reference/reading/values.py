"""What people and vendors write in feeds, as values: times, numbers, yes and no, lists, traffic lights.

Sources: first.org/tlp (TLP 2.0: WHITE became CLEAR); STIX 2.1 section 7.2.1.4 and the OASIS extension for TLP 2.0
(identifiers of the marking definitions); the MISP taxonomy `tlp`.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?\Z", re.IGNORECASE
)
_DOTNET = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/\Z")
_LDAP = re.compile(r"\d{14}([.]\d+)?Z\Z")
_YES, _NO = {"true", "yes", "y", "1", "t"}, {"false", "no", "n", "0", "f"}
# Windows counts 100 ns from 1601; both ends of its range mean "never" (learn.microsoft.com, Account-Expires attribute).
_FILETIME_EPOCH = datetime(1601, 1, 1)
_FILETIME_NEVER = {0, 0x7FFFFFFFFFFFFFFF}
_EARLIEST, _LATEST = datetime(1601, 1, 1), datetime(9999, 12, 31)


def moment(value: object, formats: Iterable[str] = ()) -> datetime | None:
    """Return a time as naive UTC; None for nothing. A time without a zone is UTC.

    Reads ISO 8601, epoch seconds, milliseconds and microseconds, .NET's `/Date(ms)/`, LDAP's `20260301120000.0Z`,
    and what `formats` (strptime) describe. Raises ValueError for anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return _naive(value)
    text = str(value).strip()
    for form in formats:
        try:
            return _naive(datetime.strptime(text, form))
        except ValueError:
            continue
    return _known(text)


def _known(text: str) -> datetime:
    if found := _DOTNET.match(text):
        return _since_epoch(int(found[1]) / 1000, text)
    if _LDAP.match(text):
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S")
    if _ISO.match(text):
        bare = re.sub(r"\s*utc\Z", "Z", text, flags=re.IGNORECASE).replace(",", ".")
        try:
            return _naive(datetime.fromisoformat(re.sub(r"\s+(?=[Z+-])", "", bare, flags=re.IGNORECASE)))
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no time") from None
    if re.fullmatch(r"-?\d{9,16}([.]\d+)?", text):
        number = float(text)
        digits = len(text.lstrip("-").partition(".")[0])
        return _since_epoch(number / (1 if digits <= 11 else 1_000 if digits <= 14 else 1_000_000), text)
    raise ValueError(f"{text[:40]!r} is no time")


def filetime(value: object) -> datetime | None:
    """Return a Windows FILETIME (100 ns since 1601) as naive UTC; None for nothing and for never."""
    if value is None or value == "":
        return None
    try:
        number = int(str(value))
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is no Windows time") from None
    if number in _FILETIME_NEVER or number < 0:
        return None
    try:
        return _FILETIME_EPOCH + timedelta(microseconds=number // 10)
    except OverflowError:
        return None


def _since_epoch(seconds: float, text: str) -> datetime:
    try:
        found = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text[:40]!r} is no time") from None
    if not _EARLIEST <= found <= _LATEST:
        raise ValueError(f"{text[:40]!r} is no time")
    return found


def _naive(found: datetime) -> datetime:
    try:
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except OverflowError:
        raise ValueError(f"{found.isoformat()} is no time") from None


def text(value: object) -> str | None:
    """Return a text without blanks around it; None for nothing. Raises ValueError for lists and objects."""
    if isinstance(value, list | dict):
        raise ValueError("expected one value, found a list or an object")
    if isinstance(value, bool):
        return str(value).lower()
    found = "" if value is None else str(value).strip()
    return found or None


def texts(value: object, separators: str = ";|,") -> list[str]:
    """Return the texts of a list, or of a text split at the first of `separators` (single characters) that is in it."""
    if isinstance(value, list | tuple | set | frozenset):
        return _distinct(str(each).strip() for each in value if each is not None)
    whole = text(value) or ""
    separator = next((each for each in separators if each in whole), None)
    return _distinct(part.strip() for part in (whole.split(separator) if separator else [whole]))


def _distinct(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(each for each in found if each))


def yes(value: object) -> bool | None:
    """Return whether a value says yes; None for nothing. Raises ValueError for anything but yes and no."""
    if value is None or value == "" or isinstance(value, bool):
        return value if isinstance(value, bool) else None
    word = str(value).strip().lower()
    if word in _YES | _NO:
        return word in _YES
    raise ValueError(f"{str(value)[:40]!r} is neither yes nor no")


def percent(value: object) -> int | None:
    """Return a whole number from 0 to 100; None for nothing. Raises ValueError for anything else."""
    if value is None or value == "":
        return None
    try:
        number = float(str(value).strip().removesuffix("%"))
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is no number from 0 to 100") from None
    if not 0 <= number <= 100:
        raise ValueError(f"{str(value)[:40]} is not from 0 to 100")
    return int(number)


CONVERTERS: dict[str, Callable[[Any], object]] = {
    "VARCHAR": text,
    "UTINYINT": percent,
    "BOOLEAN": yes,
    "TIMESTAMP": moment,
    "VARCHAR[]": texts,
}


_WORDS = ("red", "amber+strict", "amber", "green", "clear")  # the strictest first
_MARKINGS = {
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear",
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
    "f88d31f6-486f-44da-b317-01333bde0b82": "amber",
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
    "94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
    "bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
    "55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
    "939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
    "e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}


def tlp_word(text: str) -> str | None:
    """Return the word of a mark (`TLP:WHITE`, `tlp:amber+strict`, a STIX marking definition's id); None: it is none."""
    word = text.strip().lower().rpartition("--")[2].removeprefix("tlp:").strip()
    word = _MARKINGS.get(word, word)
    word = {"white": "clear", "amber strict": "amber+strict"}.get(word, word)
    return word if word in _WORDS else None


def strictest(marks: Iterable[str]) -> str | None:
    """Return the strictest word of several marks; None when none of them is of the protocol."""
    words = {tlp_word(mark) for mark in marks}
    return next((word for word in _WORDS if word in words), None)
