"""STIX 2.0 and 2.1: bundles, or objects one a line; their indicators, with what relationships and markings add.

A pattern with several observables (OR, IN) gives an entry for each; one that no single observable fulfils is rejected
with the reason.
"""

from collections.abc import Iterator

from ingest.reference.formats import FormatError, FormatOptions, Mode, Source
from ingest.reference.reading.records import objects
from ingest.reference.reading.stix_objects import Found, stix_entries
from ingest.reference.tables import INDICATORS, Entry, Reject

TABLES = (INDICATORS,)
MODE: Mode = "partial"
READS = "file"


class Options(FormatOptions):
    """Nothing to choose."""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of all indicators. Raises FormatError: no STIX, or STIX 1.x (XML)."""
    yield from stix_entries(source, lambda: _objects(source))


def _objects(source: Source) -> Iterator[Found]:
    known = False
    for found in objects(source, ("objects",)):
        if isinstance(found, Reject):
            if not known:
                raise FormatError(f"{source.name}: no STIX 2 bundle: {found.reason}")
            yield found
            continue
        record, value = found
        if not known and not ("type" in value and ("id" in value or value["type"] == "bundle")):
            raise FormatError(f"{source.name}: no STIX 2 bundle: expected objects with `type` and `id`")
        known = True
        if value.get("type") == "bundle":
            continue  # a bundle without objects
        yield value, record.where
