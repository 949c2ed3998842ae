"""Data files: the rows of one source and hour, as Iceberg holds them.

What belongs here: writing one, and its name, which says which build made it. What does not: committing it.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.typedef import Record
from pyiceberg.types import PrimitiveType

from lake.iceberg.schema import Fit

PARTITIONS = ("source", "date", "hour")
BOUNDED = ("time", "time_dt")  # whose least and greatest value a manifest tells; of others it holds no value
_NAME = re.compile(r"(?P<mark>[0-9a-f]{16})-[0-9a-f]{32}\.parquet\Z")


def new_name(mark: str) -> str:
    """Return the name of a new file with the rows of a build; no two are the same."""
    return f"{mark}-{uuid.uuid4().hex}.parquet"


def mark_of(location: str) -> str | None:
    """Return the mark of the build whose rows a file holds; None when it is none of Headwater's."""
    found = _NAME.match(location.rsplit("/", 1)[-1])
    return found["mark"] if found else None


class Rows:
    """A file of the lake, opened once, with the values of the folders it lies in as further columns."""

    def __init__(self, source: BinaryIO, folders: Mapping[str, str]) -> None:
        self._held = pq.ParquetFile(source, arrow_extensions_enabled=False)  # JSON is text
        self.folders = folders

    @property
    def columns(self) -> pa.Schema:
        """Return the columns of the file, and those of its folders."""
        return pa.schema([*self._held.schema_arrow, *(pa.field(name, pa.string()) for name in self.folders)])

    def write(self, path: Path, fit: Fit) -> pq.FileMetaData:
        """Write the rows with a table's field ids, one row group at once; return the footer.

        pyiceberg's own writer would make empty lists of NULL ones (apache/iceberg-python issue 3833).
        Statistics are kept of time alone: those of 250 columns are more than the rows of a small hour.
        """
        full = fit.identified(self.columns)
        own = pa.schema(list(full)[: len(self._held.schema_arrow)])
        footers: list[pq.FileMetaData] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(
            path,
            full,
            compression="zstd",
            compression_level=1,
            write_statistics=list(BOUNDED),
            store_schema=False,
            metadata_collector=footers,
        ) as out:
            for at in range(self._held.num_row_groups):
                rows = self._held.read_row_group(at).cast(own)
                more = [pa.repeat(pa.scalar(value, pa.string()), len(rows)) for value in self.folders.values()]
                out.write_table(pa.Table.from_arrays([*rows.columns, *more], schema=full))
        return footers[0]


@dataclass(frozen=True)
class Written:
    """A data file that no snapshot names yet: where it is to lie, its size in bytes, its footer and its folders."""

    location: str
    size: int
    footer: pq.FileMetaData
    folders: Mapping[str, str]

    def told(self, table: Table) -> DataFile:
        """Return what a manifest of the table says of this file."""
        lower, upper = _bounds(table.schema(), self.footer)
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=self.location,
            file_format=FileFormat.PARQUET,
            partition=Record(*self.folders.values()),
            record_count=self.footer.num_rows,
            file_size_in_bytes=self.size,
            lower_bounds=lower,
            upper_bounds=upper,
            spec_id=table.metadata.default_spec_id,
        )


def _bounds(schema: Schema, footer: pq.FileMetaData) -> tuple[dict[int, bytes], dict[int, bytes]]:
    lower, upper = {}, {}
    for at in range(footer.num_columns):
        name = footer.schema.column(at).path
        if name in BOUNDED:
            found = [footer.row_group(group).column(at).statistics for group in range(footer.num_row_groups)]
            found = [each for each in found if each is not None and each.has_min_max]
            field = schema.find_field(name)
            if found and isinstance(field.field_type, PrimitiveType):
                lower[field.field_id] = to_bytes(field.field_type, min(each.min for each in found))
                upper[field.field_id] = to_bytes(field.field_type, max(each.max for each in found))
    return lower, upper
