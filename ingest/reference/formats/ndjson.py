"""JSON records: one a line, an array, documents one after the other, or the list under one of `records_keys`.

Any table, by the names of the fields or as `fields` declares (`a.b` goes into objects).
"""

from collections.abc import Iterator

from pydantic import Field

from ingest.reference.formats import Mode, Source
from ingest.reference.reading.field_mapping import FieldMapping, Mapped
from ingest.reference.reading.records import objects
from ingest.reference.tables import TABLES as ALL_TABLES
from ingest.reference.tables import Entry, Reject

TABLES = ALL_TABLES
MODE: Mode = "full"
READS = "file"


class Options(Mapped):
    """See `Mapped`. `records_keys`: top-level keys under which a document keeps its records."""

    records_keys: list[str] = Field(default=[])


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of every record. Raises FormatError: the file is damaged, or `fields` names no column."""
    mapping = FieldMapping(source.table, options, None)
    for found in objects(source, tuple(options.records_keys)):
        if isinstance(found, Reject):
            yield found
            continue
        record, value = found
        try:
            yield from mapping.entries(value)
        except ValueError as error:
            yield record.reject(str(error))
