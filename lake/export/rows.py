"""The rows of one partition as they are exported: chosen, reduced, counted, each with a stable id, in one local file.

The rows keep the order of the lake's files, so that a push that continues an earlier one finds them in the same order.
`_event_id` is `<source>:<metadata.uid>`. Where events of an hour share their uid, or have none, each also gets a hash
of the object and row it came from, and where that is not enough, its row in the file. A table without `metadata.uid`
names its key in its declaration.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.sql import literal
from lake.export.declaration import EVENT_ID, Export
from lake.export.errors import BadDeclaration, ExportError, one_line
from lake.export.selection import FATES, held_rows, make_views, no_rows, source_of
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.export_receipts import Counted
from lake.ledger.published_tables import Slot
from lake.storage import duck
from lake.storage.store import Store

CHECKSUM = f"coalesce(sum(('0x' || substr(md5({EVENT_ID}), 1, 8))::bigint), 0)::bigint"
_ROW_GROUP_ROWS, _FEWEST_ROWS = 20_480, 2_048  # DuckDB works on 2,048 rows at once
_TOO_LARGE = (
    "the hour's rows do not fit into the memory that exports may take; give them more, or leave out columns with large"
    " values (`without`)"
)
_NO_SPACE = "No space left on device"  # as the system says it in DuckDB's messages
_DISK_FULL = (
    "the disk where exports are prepared is full (in a lake in a bucket, `scratch`): make room, then push again"
)
# What DuckDB raises when a value does not fit what an expression makes of it.
_OF_VALUES = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.TypeMismatchException,
    UnicodeDecodeError,  # the message was cut within a letter of a value
)
_OF_SQL = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException, duckdb.SyntaxException)


def checksum_of(event_id: str) -> int:
    """Return what one row adds to a checksum over event ids."""
    return int(hashlib.md5(event_id.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def checksum_over(event_ids: Iterable[str]) -> int:
    """Return the checksum over event ids; `CHECKSUM` is the same in SQL."""
    return sum(map(checksum_of, event_ids))


class RowsMoved(ExportError):
    """The hour was built anew while its rows were read. Push it again."""


@dataclass(frozen=True)
class Reader:
    """The rows of a partition, in a Parquet file of this machine: `path`, Arrow `schema` (JSON is `arrow.json`).

    `counted` has by source what became of the published rows; `checksum` is over the event ids. Bytes are those of
    the lake's files before, and of `path`.
    """

    path: Path
    schema: pa.Schema
    rows: int
    checksum: int
    counted: Mapping[str, Counted]
    bytes_before: int
    bytes_after: int
    memory_bytes: int
    threads: int

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection in UTC, bounded in memory, with the rows as the view `exported`."""
        con = _connection(self.path.parent, self.memory_bytes, self.threads)
        con.execute(f"create view exported as select * from read_parquet({literal(str(self.path))})")
        return con

    def write(self, select: str, to: Path, options: str = "format parquet, compression zstd") -> int:
        """Write a SELECT over `exported` to a file of this machine, with COPY's options; return its rows.

        Raises:
            ExportError: DuckDB cannot make it, for instance of a value that the type does not hold.
        """
        try:
            with self.connect() as con:
                row = con.execute(f"copy ({select}) to {literal(str(to))} ({options})").fetchone()
        except duckdb.OutOfMemoryException as problem:
            raise ExportError(f"the rows cannot be written for the destination: {_TOO_LARGE}") from problem
        except (duckdb.Error, UnicodeDecodeError) as problem:
            why = _DISK_FULL if _NO_SPACE in str(problem) else one_line(problem)
            raise ExportError(f"the rows cannot be written for the destination: {why}") from problem
        return int(row[0]) if row else 0

    def batches(self, rows: int = 2048, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, some at once."""
        with pq.ParquetFile(self.path) as held:
            yield from held.iter_batches(batch_size=rows, columns=list(columns) if columns else None)


def read_rows(
    store: Store,
    export: Export,
    builds: Mapping[Slot, BuildReceipt],
    folder: Path,
    memory_bytes: int = 1 << 30,
    threads: int = 2,
) -> Reader:
    """Return the rows of one hour; `builds` are its slots that have not expired. `folder` is the reader's own.

    Raises:
        BadDeclaration: an expression of the declaration, or a column, is not of this table.
        RowsMoved: a file is not the one that its receipt names, or cannot be read.
        ExportError: the rows do not fit into the memory, or not on the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.parquet"
    files = {slot.source: each for slot, each in builds.items() if each.file}
    with _explained(export), _connection(folder, memory_bytes, threads) as con:
        if files:
            duck.prepare(con, store)
            _open(con, export, store, files)
            make_views(con, export, store, files)
            counted = _counted(con, export, builds)
        else:
            con.execute(f"create view exported as {no_rows(export.held.layer)}")
            counted = {slot.source: Counted(published=0, rows=0) for slot in builds}
        _write(con, path)
        made = _made(con, export, path)
    counted, rows = _with_made(export, counted, made), sum(each.rows for each in made.values())
    return Reader(
        path=path,
        schema=pq.read_schema(path),
        rows=rows,
        checksum=sum(each.checksum for each in made.values()),
        counted=counted,
        bytes_before=sum(each.bytes for each in files.values()),
        bytes_after=path.stat().st_size,
        memory_bytes=memory_bytes,
        threads=threads,
    )


@contextmanager
def _explained(export: Export) -> Iterator[None]:
    where = f"{export.model}: meta.exports for {export.destination}"
    try:
        yield
    except (*_OF_SQL, *_OF_VALUES) as problem:
        raise BadDeclaration(f"{where}: {one_line(problem)}") from None
    except duckdb.InvalidInputException as problem:
        if export.declared.expressions:  # the files were open by then
            raise BadDeclaration(f"{where}: {one_line(problem)}") from None
        raise RowsMoved(f"{export}: the lake's files cannot be read: {one_line(problem)}") from problem
    except duckdb.OutOfMemoryException:
        raise ExportError(f"{export}: {_TOO_LARGE}") from None
    except duckdb.Error as problem:
        if _NO_SPACE in str(problem):
            raise ExportError(f"{export}: {_DISK_FULL}") from problem
        raise RowsMoved(f"{export}: the lake's files cannot be read: {one_line(problem)}") from problem


def _connection(folder: Path, memory_bytes: int, threads: int) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(
        config={
            "memory_limit": f"{memory_bytes // (1 << 20)}MiB",
            "threads": threads,
            "temp_directory": str(folder / "spilled"),
        }
    )
    con.execute("set timezone = 'UTC'")
    return con


def _open(con: duckdb.DuckDBPyConnection, export: Export, store: Store, files: Mapping[str, BuildReceipt]) -> None:
    """Make `held`; what goes wrong here is of the files, not of the declaration."""
    try:
        con.execute(f"create view held as {held_rows(store, files)}")
        con.execute("describe held")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as problem:
        raise RowsMoved(f"{export}: the lake's files cannot be read: {one_line(problem)}") from problem


def _write(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write `exported`. Rows so large that some thousands fill the memory are written by one thread, some at once."""
    copy = f"copy (select * from exported) to {literal(str(path))} (format parquet, compression zstd, row_group_size"
    try:
        con.execute(f"{copy} {_ROW_GROUP_ROWS})")
    except duckdb.OutOfMemoryException:
        con.execute("set threads = 1")
        con.execute(f"{copy} {_FEWEST_ROWS})")


def _counted(con: duckdb.DuckDBPyConnection, export: Export, builds: Mapping[Slot, BuildReceipt]) -> dict[str, Counted]:
    """Return what becomes of the rows of each source.

    Raises:
        RowsMoved: there are more or fewer than the receipts say.
    """
    columns = [row[0] for row in con.execute("describe held").fetchall()]
    found: dict[str, dict[str, int]] = {slot.source: {} for slot in builds}
    published = dict.fromkeys(found, 0)
    rows = con.execute(f"select _slot, {source_of(columns)}, _fate, count(*) from judged group by all").fetchall()
    for slot, source, fate, count in rows:
        fates = found.setdefault(source, {})
        fates[fate] = fates.get(fate, 0) + count
        published[slot] += count
    for built, each in builds.items():
        if published[built.source] != each.rows:
            raise RowsMoved(
                f"{export} {built.hour}: the file {built.source and f'of {built.source} '}has"
                f" {published[built.source]:,} rows, its receipt says {each.rows:,}; it was built anew meanwhile, or"
                " the lake is damaged: `headwater balance` tells"
            )
    return {
        name: Counted(
            published=sum(fates.values()),
            rows=fates.get("kept", 0),
            **{fate: fates.get(fate, 0) for fate in FATES},
        )
        for name, fates in sorted(found.items())
        if fates or name in published
    }


@dataclass(frozen=True)
class _Made:
    """What was written of one source: rows, their checksum, and the events that went up in them."""

    rows: int
    checksum: int
    events: int


def _made(con: duckdb.DuckDBPyConnection, export: Export, path: Path) -> dict[str, _Made]:
    written = f"read_parquet({literal(str(path))})"
    names = [row[0] for row in con.execute(f"describe from {written}").fetchall()]
    events = "sum(count)" if export.declared.reduction.aggregate and "count" in names else "count(*)"
    rows = con.execute(f"select {source_of(names)}, count(*), {CHECKSUM}, {events} from {written} group by 1")
    return {source: _Made(int(made), int(checksum), int(of)) for source, made, checksum, of in rows.fetchall()}


def _with_made(export: Export, counted: Mapping[str, Counted], made: Mapping[str, _Made]) -> dict[str, Counted]:
    """Return the counts with the rows that were written; `merged` went up in those of their minute.

    Raises:
        RowsMoved: other rows were written than were counted before.
    """
    merged = export.declared.reduction.aggregate is not None
    kept = sum(each.rows for each in counted.values())
    found = sum(each.events if merged else each.rows for each in made.values())
    if kept != found:
        raise RowsMoved(f"{export}: {kept:,} rows were counted, then {found:,} read: the hour was built anew meanwhile")
    if not merged:
        return dict(counted)
    rows = {name: made[name].rows if name in made else 0 for name in counted}
    return {
        name: msgspec.structs.replace(each, rows=rows[name], merged=each.rows - rows[name])
        for name, each in counted.items()
    }
