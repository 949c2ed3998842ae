"""Address ranges as cloud providers publish them: one JSON document → rows of the warning lists."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ingest.reference.formats import FormatError, Source
from ingest.reference.observables import NotObservable, entries
from ingest.reference.reading.records import documents
from ingest.reference.tables import Entry, Reject


class CloudRange(NamedTuple):
    """A range, the service and region that it is used for ('' where the provider does not say), and its place."""

    prefix: str
    service: str
    region: str
    where: str


def document_of(source: Source, expected: str, *keys: str) -> dict[str, Any]:
    """Return the one document of a file. Raises FormatError when it is another document, without a list at `keys`."""
    found = next(documents(source), None)
    value = None if found is None or isinstance(found, Reject) else found[1]
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in keys):
        raise FormatError(f"{source.name}: no {expected}: expected an object with lists `{'`, `'.join(keys)}`")
    return value


def items(value: list[Any], where: str) -> Iterator[tuple[dict[str, Any], str] | Reject]:
    """Yield the objects of a list with their places; what is no object comes as a Reject."""
    for number, item in enumerate(value, start=1):
        place = f"{where} {number}"
        yield (item, place) if isinstance(item, dict) else Reject(str(item)[:200], place, "not an object")


def cloud_entries(found: CloudRange, name: str, services: list[str], source: Source) -> Iterator[Entry | Reject]:
    """Yield the entry of a range, or count it as skipped when `services` names others."""
    if services and found.service not in services:
        source.skipped["of another service"] += 1
        return
    description = " ".join(part for part in (found.service, found.region) if part) or None
    payload: dict[str, object] = {"name": name, "category": "cloud", "description": description}
    try:
        yield from entries(found.prefix, payload, "ip", within="/".join((found.service, found.region)).strip("/"))
    except NotObservable as error:
        yield Reject(found.prefix[:200], found.where, str(error))
