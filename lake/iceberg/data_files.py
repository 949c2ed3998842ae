"""Data files: the rows of one source and hour as Iceberg holds them, with the schema of their table.

Columns are matched by name. A column that a later mapping brings is added with a new id and is NULL in older rows; one
that a later mapping drops stays, and is NULL in newer rows. JSON is text in Iceberg.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.exceptions import ValidationError
from pyiceberg.io.pyarrow import pyarrow_to_schema, schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.typedef import Record
from pyiceberg.types import PrimitiveType

from lake.iceberg.catalogue import IcebergError
from lake.ledger.published_tables import Slot

FIELD_ID = b"PARQUET:field_id"
_WIDER = {(pa.int32(), pa.int64()), (pa.float32(), pa.float64())}  # what Iceberg lets a column become
PARTITIONS = ("source", "date", "hour")
BOUNDED = ("time", "time_dt")  # whose least and greatest value a manifest tells; of others it holds no value
_NAME = re.compile(r"(?P<mark>[0-9a-f]{16})-[0-9a-f]{32}\.parquet\Z")


def assigned(columns: pa.Schema) -> Schema:
    """Return the Iceberg schema of a new table with the columns of a file, all optional, with ids of their own."""
    ids = count(1)
    return pyarrow_to_schema(pa.schema([_numbered(column, ids) for column in columns]))


def _numbered(column: pa.Field, ids: Iterator[int]) -> pa.Field:
    number = {FIELD_ID: str(next(ids)).encode()}
    held = column.type
    if pa.types.is_struct(held):
        held = pa.struct([_numbered(held.field(at), ids) for at in range(held.num_fields)])
    elif pa.types.is_list(held):
        held = pa.list_(_numbered(held.value_field, ids))
    return pa.field(column.name, held, nullable=True, metadata=number)


def evolve(table: Table, columns: pa.Schema) -> None:
    """Give a table the columns that a file has and it has not, and types that are wider.

    Raises:
        IcebergError: a column has another type now, which no reader of the older rows could bear.
    """
    try:
        with table.update_schema() as update:
            update.union_by_name(columns)
        Fit(table).identified(columns)
    except (ValidationError, KeyError, ValueError, TypeError) as problem:
        raise IcebergError(
            f"{'.'.join(table.name())}: a column has changed its type, which an Iceberg table cannot follow:"
            f" {' '.join(str(problem).split())[:300]}. Drop the table from the catalogue to publish it anew"
        ) from problem


class Fit:
    """Fits the columns of files to a table's schema; those of one table are nearly always the same."""

    def __init__(self, table: Table) -> None:
        self._table = schema_to_pyarrow(table.schema(), include_field_ids=True)
        self._found: dict[pa.Schema, pa.Schema] = {}

    def lacks(self, columns: pa.Schema) -> bool:
        """Return whether a file with these columns holds something that the table's schema does not say yet."""
        try:
            self.identified(columns)
        except (KeyError, TypeError):
            return True
        return False

    def identified(self, columns: pa.Schema) -> pa.Schema:
        """Return a file's columns with the field ids and types of the table.

        Raises:
            KeyError: the table has no such column.
            TypeError: the table has a type for it that does not hold the file's values.
        """
        if columns not in self._found:
            self._found[columns] = pa.schema([_identified(each, self._table.field(each.name)) for each in columns])
        return self._found[columns]


def _identified(column: pa.Field, known: pa.Field) -> pa.Field:
    return pa.field(column.name, _type(column.type, known.type), nullable=True, metadata=_id(known))


def _type(held: pa.DataType, known: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(held) and pa.types.is_struct(known):
        names = {known.field(at).name: known.field(at) for at in range(known.num_fields)}
        return pa.struct([_identified(held.field(at), names[held.field(at).name]) for at in range(held.num_fields)])
    if pa.types.is_list(held) and (pa.types.is_list(known) or pa.types.is_large_list(known)):
        inner = _type(held.value_type, known.value_type)
        return pa.list_(pa.field("element", inner, nullable=True, metadata=_id(known.value_field)))
    if _is_text(held) and _is_text(known):
        return pa.string()
    if held == known or (held, known) in _WIDER:
        return known
    raise TypeError(f"{held} does not fit {known}")


def _id(known: pa.Field) -> dict[bytes, bytes]:
    return {FIELD_ID: known.metadata[FIELD_ID]}


def _is_text(held: pa.DataType) -> bool:
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held))


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

    def entry(self, table: Table) -> DataFile:
        """Return the file's entry in a manifest of the table."""
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


@dataclass(frozen=True)
class LiveFile:
    """One data file: the snapshot that added it, and the mark of its build (None: another program wrote it)."""

    file: DataFile
    snapshot_id: int
    mark: str | None


def live_files(table: Table | None, day: str | None = None) -> dict[Slot, list[LiveFile]]:
    """Return the files of the current snapshot, of one day or of all; nothing before the first."""
    found: dict[Slot, list[LiveFile]] = {}
    if table is None:
        return found
    snapshot = table.current_snapshot()
    names = [field.name for field in table.spec().fields]
    for file, snapshot_id in _files([snapshot] if snapshot else [], table, day):
        folders = {name: file.partition[at] for at, name in enumerate(names)}
        slot = Slot(folders.get("source") or "", f"{folders.get('date')}T{folders.get('hour')}")
        if day in (None, slot.day):
            found.setdefault(slot, []).append(LiveFile(file, snapshot_id, mark_of(file.file_path)))
    return found


def _files(snapshots: Iterable[Snapshot], table: Table, day: str | None = None) -> Iterable[tuple[DataFile, int]]:
    seen: set[str] = set()
    for snapshot in snapshots:
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen and _may_hold(manifest, table, day):
                seen.add(manifest.manifest_path)
                for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                    yield entry.data_file, entry.snapshot_id or 0


def _may_hold(manifest: ManifestFile, table: Table, day: str | None) -> bool:
    """Whether a manifest may name files of a day, by the least and the greatest day that it tells."""
    at = next((at for at, each in enumerate(table.spec().fields) if each.name == "date"), None)
    if day is None or at is None or not manifest.partitions or manifest.partition_spec_id != table.spec().spec_id:
        return True
    lower, upper = manifest.partitions[at].lower_bound, manifest.partitions[at].upper_bound
    return lower is None or upper is None or lower.decode() <= day <= upper.decode()


def referenced(table: Table) -> set[str]:
    """Return the locations of all files that some snapshot of the table, or its log, still needs."""
    found = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    found |= {each.statistics_path for each in table.metadata.statistics}
    for snapshot in table.snapshots():
        found.add(snapshot.manifest_list)
        found |= {manifest.manifest_path for manifest in snapshot.manifests(table.io)}
    found |= {file.file_path for file, _ in _files(table.snapshots(), table)}
    return found
