"""Pages of an API: what stands where in their JSON, their records as they came, and times as vendors write them."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ingest.transports.http import body_of

_SECOND, _MILLISECOND = timedelta(seconds=1), timedelta(milliseconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)


def at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path; None where nothing does. A key may hold dots; numbers count elements."""
    if not path:
        return value
    if isinstance(value, list):
        number, _, rest = path.partition(".")
        return at(value[int(number)], rest) if number.isdigit() and int(number) < len(value) else None
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    places = (place for place, sign in enumerate(path) if sign == "." and path[:place] in value)
    return next((at(value[path[:place]], path[place + 1 :]) for place in places), None)


def records_of(body: bytes, path: str) -> Sequence[bytes]:
    """The records of a page as they came. A page that cannot be taken apart has none."""
    try:
        return [bytes(each) for each in msgspec.json.decode(_listed(body, path), type=list[msgspec.Raw])]
    except (msgspec.DecodeError, RecursionError):
        return []


def opened(path: Path, records: str) -> BinaryIO:
    """A page's records as a JSON array; the page as it came where it is one, or cannot be taken apart."""
    if not records:
        return path.open("rb")
    body = path.read_bytes()
    try:
        return io.BytesIO(_listed(body, records))
    except (msgspec.DecodeError, RecursionError):
        return io.BytesIO(body)


def _listed(body: bytes, path: str) -> bytes:
    """The list at a dotted path, as it came; an empty one where nothing is, or null. Raises msgspec.DecodeError."""
    found: Any = body
    for name in path.split(".") if path else ():
        found = (msgspec.json.decode(found, type=dict[str, msgspec.Raw] | None) or {}).get(name, b"null")
    return b"[]" if bytes(found) == b"null" else bytes(found)


def written(moment: datetime, form: str) -> str:
    """Return a time (aware) as a filter's `format` has it."""
    if form.startswith("epoch"):
        return str((moment - _EPOCH) // (_MILLISECOND if form == "epoch_millis" else _SECOND))
    if form == "rfc3339_millis":
        return millis(moment)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S" + ("Z" if form == "rfc3339" else ""))


def moment_of(value: object, form: str) -> datetime:
    """The time of a record. Raises ValueError."""
    if isinstance(value, str) and not value.isdigit():
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return _EPOCH + int(str(value)) * (_MILLISECOND if form.endswith("millis") else _SECOND)


def millis(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text_of(value: object) -> str:
    """Return a value as a parameter has it: a list joined by commas, nothing as nothing."""
    return ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def param_of(link: str, name: str) -> str:
    """Return what a link says of a parameter, in its query or its body; "" where it says nothing."""
    body = body_of(link)
    return str((body if body is not None else dict(parse_qsl(urlsplit(link).query))).get(name, ""))


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """Return a value of a body with its templates filled in."""
    if value == "{limit}":
        return int(values["limit"])  # JSON has numbers
    return value.format_map(values) if isinstance(value, str) else value
