"""MISP warning lists (`list.json`): addresses, names and hashes that are known not to be malicious by themselves.

A list of type `cidr` holds addresses and networks, `hostname` names that stand for what is below them as well, `string`
exact values. `substring` and `regex` match parts of a value: that is no key, and every such entry is rejected.
Source: github.com/MISP/misp-warninglists (README.md, schema.json) and the type descriptions in MISP's manual.
"""

from collections.abc import Iterator
from typing import Any

from ingest.reference.formats import FormatError, FormatOptions, Mode, Source
from ingest.reference.observables import NotObservable, entries
from ingest.reference.reading.records import SHOWN, Record, documents
from ingest.reference.reading.values import text
from ingest.reference.tables import WARNING_LISTS, Entry, Reject

TABLES = (WARNING_LISTS,)
MODE: Mode = "full"
READS = "file"

_PARTIAL_MATCHES = {"substring", "regex"}


class Options(FormatOptions):
    """`category`: what the list is about (cloud, vpn, dns, …), where it does not say."""

    category: str = ""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of a list, or of all lists of an archive. Raises FormatError: no warning list."""
    known = False
    for found in documents(source):
        if isinstance(found, Reject):
            yield found
            continue
        record, value = found
        if not isinstance(value, dict) or not isinstance(value.get("list"), list) or "type" not in value:
            yield record.reject("no MISP warning list")  # an archive of lists has their schema, too
            continue
        known = True
        yield from _list(source, options, record, value)
    if not known:
        raise FormatError(f"{source.name}: no MISP warning list: expected an object with `name`, `type`, `list`")


def _list(source: Source, options: Options, record: Record, value: dict[str, Any]) -> Iterator[Entry | Reject]:
    of, name = str(value["type"]), text(value.get("name")) or source.name
    if value.get("version") is not None:
        source.told["version"] = str(value["version"])
    payload: dict[str, object] = {
        "name": name,
        "category": options.category or text(value.get("category")),
        "description": text(value.get("description")),
        "covers_subdomains": of == "hostname",
    }
    for number, item in enumerate(value["list"], start=1):
        where = f"{record.where}, entry {number}"
        if of in _PARTIAL_MATCHES:
            yield Reject(str(item)[:SHOWN], where, f"lists of type {of} match parts of a value, which is no key")
            continue
        try:
            yield from _entries(str(item), of, payload, name)
        except NotObservable as error:
            yield Reject(str(item)[:SHOWN], where, str(error))


def _entries(item: str, of: str, payload: dict[str, object], name: str) -> list[Entry]:
    if of == "cidr":
        return list(entries(item, payload, "ip", within=name))
    if of == "hostname" and not item[:1].isdigit():
        return list(entries(item.lstrip("."), payload, "domain", within=name))
    return list(entries(item, payload, within=name, wildcards=of == "hostname"))
