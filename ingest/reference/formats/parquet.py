"""Parquet files: any table, by the names of the columns or as `fields` declares (`a.b` goes into structs)."""

from collections.abc import Iterator

import pyarrow.parquet as pq
from pyarrow import ArrowException

from ingest.reference.formats import FormatError, Mode, Source
from ingest.reference.reading.field_mapping import FieldMapping, Mapped
from ingest.reference.reading.records import objects
from ingest.reference.tables import TABLES as ALL_TABLES
from ingest.reference.tables import Entry, Reject

TABLES = ALL_TABLES
MODE: Mode = "full"
READS = "file"


class Options(Mapped):
    """See `Mapped`."""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of every row. Raises FormatError: no Parquet file, or columns that do not fit the table."""
    mapping = FieldMapping(source.table, options, _columns(source))
    for found in objects(source):
        if isinstance(found, Reject):
            yield found
            continue
        record, value = found
        try:
            yield from mapping.entries(value)
        except ValueError as error:
            yield record.reject(str(error))


def _columns(source: Source) -> list[str]:
    try:
        return list(pq.read_schema(str(source.path)).names)
    except FileNotFoundError:
        raise FormatError(f"{source.name}: no such file") from None
    except (ArrowException, OSError) as error:
        raise FormatError(f"{source.name}: no Parquet file: {str(error).splitlines()[0]}") from None
