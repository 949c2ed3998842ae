"""The rows of one partition as they are exported: chosen, reduced, counted, each with a stable id, in one local file.

What belongs here: from the lake's files to the rows that every destination of an export gets, in bounded memory.
What does not: how a destination writes them.

The rows keep the order of the lake's files, so that a push that was broken off finds them in the same order again.
`_event_id` is `<source>:<metadata.uid>`; where two events of an hour share their uid (a collision), each also gets a
hash of the object and row it came from. A table without `metadata.uid` names its key in its declaration.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake import duck
from lake.curated import Slot
from lake.delivery.declaration import Aggregate, Export
from lake.delivery.destination import EVENT_ID
from lake.delivery.errors import BadDeclaration, ExportError
from lake.delivery.receipts import Counted
from lake.receipts import BuildReceipt
from lake.registry import literal, quoted
from lake.store import Store

CHECKSUM = f"coalesce(sum(('0x' || substr(md5({EVENT_ID}), 1, 8))::bigint), 0)::bigint"
_FATES = ("filtered", "dropped", "sampled_out")
_PARTS = 1_000_000
_ROW_GROUP_ROWS = 20_480
_MINUTE = "time_dt"


class RowsMoved(ExportError):
    """The hour was built anew while its rows were read. Push it again."""


@dataclass(frozen=True)
class Reader:
    """The rows of a partition, in a Parquet file of this machine: `path`, Arrow `schema` (JSON is `arrow.json`).

    `counted` tells by source what became of the published rows; `checksum` is over the event ids. Bytes are those of
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
        except duckdb.Error as problem:
            raise ExportError(f"the rows cannot be written for the destination: {_line(problem)}") from problem
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
        RowsMoved: a file is not the one that its receipt names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    con = _connection(folder, memory_bytes, threads)
    with con:
        duck.prepare(con, store)
        files = {slot.source: each for slot, each in builds.items() if each.file}
        if files:
            con.execute(f"create view held as {_held(store, files)}")
        else:
            con.execute(f"create view held as {_nothing(export)}")
        try:
            columns = [row[0] for row in con.execute("describe held").fetchall()]
            _make_views(con, export, columns)
            counted = _counted(con, export, builds)
            _check_counts(export, builds, counted)
            path = folder / "rows.parquet"
            con.execute(
                f"copy (select * from exported) to {literal(str(path))}"
                f" (format parquet, compression zstd, row_group_size {_ROW_GROUP_ROWS})"
            )
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as problem:
            raise BadDeclaration(f"{export.model}: meta.exports for {export.destination}: {_line(problem)}") from None
        except (duckdb.IOException, duckdb.HTTPException) as problem:
            raise RowsMoved(f"{export}: the lake's files cannot be read: {_line(problem)}") from problem
        row = con.execute(f"select count(*), {CHECKSUM} from read_parquet({literal(str(path))})").fetchone()
    rows, checksum = row or (0, 0)
    return Reader(
        path=path,
        schema=pq.read_schema(path),
        rows=int(rows),
        checksum=int(checksum),
        counted=_with_merged(export, counted, path),
        bytes_before=sum(each.bytes for each in files.values()),
        bytes_after=path.stat().st_size,
        memory_bytes=memory_bytes,
        threads=threads,
    )


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


def _held(store: Store, files: Mapping[str, BuildReceipt]) -> str:
    """Return a SELECT over the files of the slots, each with its source, in order of sources."""
    options = "hive_partitioning = false, union_by_name = true"
    parts = [
        f"select *{f', {literal(source)} as source' if source else ''}"
        f" from read_parquet({literal(store.url(each.file))}, {options})"
        for source, each in sorted(files.items())
    ]
    return " union all by name ".join(parts)


def _nothing(export: Export) -> str:
    source = ", null::varchar as source" if export.held.layer == "silver" else ""
    return f"select null::struct(uid varchar) as metadata, null::timestamp as time_dt{source} where false"


def _make_views(con: duckdb.DuckDBPyConnection, export: Export, columns: Sequence[str]) -> None:
    """Make `judged` (all rows, their id and fate) and `exported` (those that go, in the shape in which they go)."""
    said = export.declared
    _make_colliding(con, export, columns)
    identity = _identity(export, columns)
    sample = said.reduction.sample
    fates = [
        f"when not coalesce(({said.filter or 'true'}), false) then 'filtered'",
        *(f"when coalesce(({drop}), false) then 'dropped'" for drop in said.reduction.drop),
    ]
    if sample is not None:
        kept = f"md5_number_lower({EVENT_ID}) % {_PARTS} < {round(sample.share * _PARTS)}"
        fates.append(f"when coalesce(({sample.where}), false) and not {kept} then 'sampled_out'")
    con.execute(f"create view identified as select *, {identity} as {EVENT_ID} from held")
    con.execute(f"create view judged as select *, case {' '.join(fates)} else 'kept' end as _fate from identified")
    con.execute(f"create view exported as {_shaped(export, columns)}")


def _make_colliding(con: duckdb.DuckDBPyConnection, export: Export, columns: Sequence[str]) -> None:
    if export.declared.key or "metadata" not in columns:
        con.execute("create table colliding (source varchar, uid varchar)")
        return
    source = "source" if "source" in columns else "''"
    con.execute(
        f"create table colliding as select {source} as source, metadata.uid as uid from held"
        " group by all having count(*) > 1"
    )


def _identity(export: Export, columns: Sequence[str]) -> str:
    """Return the SQL of a row's stable id."""
    source = "source" if "source" in columns else "''"
    if export.declared.key:
        values = ", ".join(f"{_path(each)}::varchar" for each in export.declared.key)
        return f"{source} || ':' || md5([{values}]::varchar)"
    if "metadata" not in columns:
        raise BadDeclaration(f"{export.model}: the table has no metadata.uid: name its `key` in meta.exports")
    origin = "'#' || substr(md5(_source_object || '#' || _source_row), 1, 12)" if "_source_object" in columns else "''"
    shared = f"(metadata.uid in (select uid from colliding where colliding.source = {source}))"
    if "source" not in columns:
        shared = "(metadata.uid in (select uid from colliding))"
    return f"{source} || ':' || metadata.uid || case when {shared} then {origin} else '' end"


def _shaped(export: Export, columns: Sequence[str]) -> str:
    said = export.declared
    if said.reduction.aggregate is not None:
        return _aggregated(export, said.reduction.aggregate, columns)
    own = [name for name in columns if not name.startswith("_")]
    unknown = sorted({*said.columns, *said.without} - set(own))
    if unknown and "metadata" in columns and "time" in columns:
        raise BadDeclaration(f"{export.model}: meta.exports names {unknown[0]!r}, which is no column of the table")
    kept = [name for name in own if (not said.columns or name in said.columns) and name not in said.without]
    chosen = ", ".join(map(quoted, kept))
    return f"select {chosen}, {EVENT_ID} from judged where _fate = 'kept'"


def _aggregated(export: Export, said: Aggregate, columns: Sequence[str]) -> str:
    """Return the SELECT of a row per minute: OCSF's own `count`, `start_time_dt`, `end_time_dt`, and what is asked."""
    fixed = ["source"] if "source" in columns else []
    by = [*fixed, *(each for each in said.by if each not in fixed)]
    groups = {path: f"_by{at}" for at, path in enumerate(by)}
    sums = {path: f"_sum{at}" for at, path in enumerate(said.sum)}
    inner = [f"date_trunc('minute', {_MINUTE}) as _minute"]
    inner += [f"{_path(path)} as {name}" for path, name in groups.items()]
    inner += [f"sum({_path(path)})::bigint as {name}" for path, name in sums.items()]
    inner += [f"count(*) as _count, min({_MINUTE}) as _first, max({_MINUTE}) as _last"]
    names = ", ".join(f"{name}::varchar" for name in groups.values())
    row = _objects({**groups, **sums})
    return (
        f"select _minute as {_MINUTE}, epoch_ms(_minute) as time, _count as count, _first as start_time_dt,"
        f" _last as end_time_dt, {row}, md5([_minute::varchar, {names}]::varchar) as {EVENT_ID}"
        f" from (select {', '.join(inner)} from judged where _fate = 'kept' group by all) order by {EVENT_ID}"
    )


def _objects(paths: Mapping[str, str]) -> str:
    """Return SQL that puts values (path → expression) where they stand in an event: `a.b` becomes an object `a`."""
    tree: dict[str, dict[str, str]] = {}
    for path, expression in paths.items():
        top, _, rest = path.partition(".")
        tree.setdefault(top, {})[rest] = expression
    written = []
    for top, held in tree.items():
        value = held[""] if "" in held else _object(held)
        written.append(f"{value} as {quoted(top)}")
    return ", ".join(written)


def _object(held: Mapping[str, str]) -> str:
    tree: dict[str, dict[str, str]] = {}
    for path, expression in held.items():
        top, _, rest = path.partition(".")
        tree.setdefault(top, {})[rest] = expression
    parts = [f"{literal(top)}: {below[''] if '' in below else _object(below)}" for top, below in tree.items()]
    return "{" + ", ".join(parts) + "}"


def _path(path: str) -> str:
    return ".".join(map(quoted, path.split(".")))


def _counted(con: duckdb.DuckDBPyConnection, export: Export, builds: Mapping[Slot, BuildReceipt]) -> dict[str, Counted]:
    columns = [row[0] for row in con.execute("describe held").fetchall()]
    source = "source" if "source" in columns else "''"
    found: dict[str, dict[str, int]] = {slot.source: {} for slot in builds}
    rows = con.execute(f"select {source}, _fate, count(*) from judged group by all").fetchall()
    for name, fate, count in rows:
        found.setdefault(name or "", {})[fate] = count
    return {
        name: Counted(
            published=sum(fates.values()),
            rows=fates.get("kept", 0),
            **{fate: fates.get(fate, 0) for fate in _FATES},
        )
        for name, fates in sorted(found.items())
    }


def _check_counts(export: Export, builds: Mapping[Slot, BuildReceipt], counted: Mapping[str, Counted]) -> None:
    for slot, each in builds.items():
        found = counted[slot.source].published
        if found != each.rows:
            raise RowsMoved(
                f"{export} {slot.hour}: the file of {slot.source} has {found:,} rows, its receipt says {each.rows:,};"
                " it was built anew meanwhile, or the lake is damaged: `headwater balance` tells"
            )


def _with_merged(export: Export, counted: Mapping[str, Counted], path: Path) -> dict[str, Counted]:
    """Return the counts with the rows that went up in those of their minute."""
    if export.declared.reduction.aggregate is None:
        return dict(counted)
    with duckdb.connect() as con:
        names = [row[0] for row in con.execute(f"describe from read_parquet({literal(str(path))})").fetchall()]
        source = "source" if "source" in names else "''"
        rows = con.execute(f"select {source}, count(*) from read_parquet({literal(str(path))}) group by 1").fetchall()
    made = {name or "": int(count) for name, count in rows}
    return {
        name: Counted(
            published=each.published,
            rows=made.get(name, 0),
            merged=each.rows - made.get(name, 0),
            filtered=each.filtered,
            dropped=each.dropped,
            sampled_out=each.sampled_out,
        )
        for name, each in counted.items()
    }


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]
