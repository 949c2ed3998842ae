"""The index of observables: which of them the rows of one file of silver hold, how often, and when.

A row of an index is one observable of one event hour, source and table: `kind`, `value` (as events write it), its key,
`occurrences` (attributes of events that hold it), `first_at`, `last_at`. Rows are ordered by kind and key. A lake from
before there were indexes, or whose index files were damaged or lost, is searched in the tables themselves, once, and
its indexes are made and kept.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from lake import ledger
from lake.base.sql import empty_select, listed, literal
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt, IndexMark
from lake.ocsf.attributes import EventClass
from lake.ocsf.keys import keyed
from lake.ocsf.observables import OBSERVABLES, ObservablePath, filled_paths, given_text, observable_paths
from lake.storage import paths
from lake.storage.duck import partitioned
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

if TYPE_CHECKING:  # where nothing is stale nobody waits for it
    import pyarrow.parquet as pq

VERSION = "2"  # of what an index holds; an index of another version is made anew when it is needed
FOLDER = "index"  # in the folder of a model's staged partitions
COLUMNS = (
    ("kind", "VARCHAR"),
    ("value", "VARCHAR"),
    ("key_high", "UBIGINT"),
    ("key_low", "UBIGINT"),
    ("occurrences", "BIGINT"),
    ("first_at", "TIMESTAMP"),
    ("last_at", "TIMESTAMP"),
)
OPTIONS = "format parquet, compression zstd, compression_level 1"
_TIME = "time_dt"
LONG_TEXT = 10_000
_LEVELS = {"list", "element"}
_NOT_OF_FILES = (
    duckdb.ParserException,
    duckdb.CatalogException,
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
)
Files = Mapping[str, BuildReceipt]  # key of a file of silver → the build that made it


def index_select(event_class: EventClass, leaves: Collection[str], rows: str, by: Sequence[str] = ()) -> str:
    """Return a SELECT of the index of some rows of a class, and of each value of the columns `by` on its own.

    `rows` is a relation with the class's columns; `leaves` are its leaf columns that hold anything.
    """
    parts = [_texts(each, rows, by) for each in filled_paths(observable_paths(event_class), leaves)]
    if f"{OBSERVABLES}.value" in leaves:
        parts.append(_given_texts(rows, by))
    kept = ", ".join(["occurrences", "first_at", "last_at", *by])
    groups = ", ".join(["kind", "key_high", "key_low", *by])
    if not parts:
        return empty_select((*COLUMNS, *((name, "VARCHAR") for name in by)))
    also = "".join(f", {name}" for name in by)
    gathered = f"""(
  select what, text, coalesce(sum(found) filter (own), sum(found))::bigint as occurrences,
    min(first_at) as first_at, max(last_at) as last_at{also}
  from ({" union all ".join(parts)}) group by what, text{also})"""
    return f"""select kind, min(value) as value, key_high, key_low, sum(occurrences)::bigint as occurrences,
  min(first_at) as first_at, max(last_at) as last_at{also}
from ({keyed(gathered, kept)}) group by {groups} order by {groups}"""


def leaves_of(metadata: "pq.FileMetaData") -> set[str]:
    """Return the leaf columns of one Parquet file that hold a value (`a.b.c` without list levels), by its statistics.

    Below lists DuckDB counts more nulls than there are values; then least and greatest value tell. It gives none where
    a text has more than 10,000 bytes, so a column of that size counts as one with values.
    """
    found = set()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            held = column.statistics
            empty = held is not None and not held.has_min_max and held.has_null_count
            if not empty or held.null_count < column.num_values or column.total_uncompressed_size >= LONG_TEXT:
                found.add(".".join(step for step in column.path_in_schema.split(".") if step not in _LEVELS))
    return found


def staged_statements(
    event_class: EventClass, folder: Path, unsorted: Path, parts: Sequence[str], held: str = ""
) -> list[str]:
    """Return the statements that write the indexes of a model's staged partitions, hour by hour; none without rows.

    `unsorted` is one file of the same rows, if it exists, `held` a table of them. `parts` are conditions on hours,
    written one after the other.
    """
    files = [unsorted] if unsorted.exists() else sorted(folder.glob("date=*/hour=*/*.parquet"))
    if not files:
        return []
    out = folder / FOLDER
    out.mkdir(exist_ok=True)
    where = literal(str(unsorted) if unsorted.exists() else f"{folder}/date=*/hour=*/*.parquet")
    from pyarrow.parquet import read_metadata

    leaves = {leaf for file in files for leaf in leaves_of(read_metadata(file))}
    read = f"read_parquet({where})" if unsorted.exists() else partitioned(where, str(folder), ("date", "hour"))
    rows = held or read
    each_part = [f"(select * from {rows} where {part})" for part in parts] or [rows]
    return [
        f"copy ({index_select(event_class, leaves, each, ('date', 'hour'))}) to {literal(str(out))}"
        f" ({OPTIONS}, partition_by (date, hour), filename_pattern 'part', overwrite_or_ignore)"
        for each in each_part
    ]


def _texts(path: ObservablePath, rows: str, by: Sequence[str]) -> str:
    also = "".join(f", {name}" for name in by)
    return f"""
  select {literal(path.text)} as what, text, count(*) as found, true as own, min({_TIME}) as first_at,
    max({_TIME}) as last_at{also}
  from (select {path.sql} as text, {_TIME}{also} from {rows}) where text is not null group by text{also}"""


def _given_texts(rows: str, by: Sequence[str]) -> str:
    also = "".join(f", {name}" for name in by)
    return f"""
  select {given_text()} as what, each.value as text, count(*) as found, false as own, min({_TIME}) as first_at,
    max({_TIME}) as last_at{also}
  from (select unnest({OBSERVABLES}) as each, {_TIME}{also} from {rows}) where each.value is not null
  group by what, text{also}"""


@dataclass(frozen=True)
class StagedIndexes:
    """The indexes of a model's staged hours (`YYYY-MM-DDTHH`) whose rows hold observables; without `made`, none."""

    made: bool
    files: Mapping[str, Path]

    def mark(self, hour: str) -> IndexMark | None:
        """Return what the receipt of an hour with rows says of its index; None where none was made."""
        path = self.files.get(hour)
        if path is None:
            return IndexMark(0, 0, VERSION) if self.made else None
        return mark_of(path)


def mark_of(path: Path) -> IndexMark:
    """Return what a receipt says of an index file."""
    from pyarrow.parquet import read_metadata

    return IndexMark(read_metadata(path).num_rows, path.stat().st_size, VERSION, ledger.digest_of(path))


def staged_indexes(folder: Path) -> StagedIndexes:
    """Return the indexes that lie in the folder of a model's staged partitions."""
    files = {
        ledger.hour_text(hour): path
        for path in sorted((folder / FOLDER).glob("date=*/hour=*/*.parquet"))
        if (hour := paths.hour_of(path.as_posix())) is not None
    }
    return StagedIndexes((folder / FOLDER).is_dir(), files)


def files_of(receipt: BuildReceipt) -> tuple[str, ...]:
    """Return the keys of what one build has in the lake: the file of its hour, and the index beside it."""
    if not receipt.file:
        return ()
    return (receipt.file, paths.index_file(receipt.file)) if receipt.file.startswith(paths.SILVER) else (receipt.file,)


class Unreadable(RuntimeError):
    """A file that is damaged, or cannot be reached; the message is DuckDB's own, on one line. A search catches it."""


@contextmanager
def reading() -> Iterator[None]:
    """Raise Unreadable when DuckDB cannot read a file; of many, it does not say which. Other errors pass."""
    try:
        yield
    except _NOT_OF_FILES:
        raise
    except duckdb.Error as problem:
        raise Unreadable(" ".join(str(problem).split())[:300]) from problem


def usable_indexes(store: Store, files: Files) -> dict[str, str]:
    """Return the files whose index can be used: key → address of the index, "" where the rows hold no observable."""
    marked = {key: each.index for key, each in files.items() if each.index and each.index.version == VERSION}
    infos = store.infos(paths.index_file(key) for key, mark in marked.items() if mark.rows)
    found = {}
    for key, mark in marked.items():
        held = infos.get(paths.index_file(key))
        if not mark.rows:
            found[key] = ""
        elif held is not None and held.size == mark.bytes:
            found[key] = store.url(paths.index_file(key))
    return found


def is_readable(con: duckdb.DuckDBPyConnection, address: str, rows: int) -> bool:
    """Whether an index file can be read to its end and has the rows that its receipt says."""
    read = "sum(hash(kind, key_high, key_low, first_at, last_at)::hugeint)"
    try:
        with reading():
            row = con.execute(f"select count(*), {read} from read_parquet({literal(address)})").fetchone()
    except Unreadable:
        return False
    return row is not None and row[0] == rows


def make_index(
    con: duckdb.DuckDBPyConnection, store: Store, place: Workplace, event_class: EventClass, key: str
) -> Path:
    """Make the index of a file of silver in a workplace; return where it is.

    Raises:
        Unreadable: the file.
    """
    rows = f"read_parquet({literal(store.url(key))}, hive_partitioning = false)"
    out = place.path / paths.index_file(key)
    out.parent.mkdir(parents=True, exist_ok=True)
    with reading():
        leaves = leaves_held(con, [store.url(key)])
        con.execute(f"copy ({index_select(event_class, leaves, rows)}) to {literal(str(out))} ({OPTIONS})")
    return out


def leaves_held(con: duckdb.DuckDBPyConnection, addresses: Iterable[str]) -> set[str]:
    """Return the leaf columns that hold a value in any of some files, as `leaves_of` tells them."""
    rows = con.execute(
        f"select path_in_schema from parquet_metadata({listed(addresses)}) group by 1"
        " having bool_or(stats_null_count is null or stats_null_count < num_values or stats_min_value is not null"
        f" or total_uncompressed_size >= {LONG_TEXT})"
    ).fetchall()
    return {".".join(step for step in row[0].split(", ") if step not in ("list", "element")) for row in rows}


def keep_indexes(store: Store, place: Workplace, files: Files, indexes: Mapping[str, Path]) -> dict[str, str]:
    """Publish indexes that were made (key of the file of silver → index) beside tables that are still those files.

    Return the keys of those that now lie in the lake; others, of tables that were built anew, stay in the workplace.
    """
    kept: dict[str, str] = {}
    marks = {key: mark_of(path) for key, path in indexes.items()}

    def plan() -> Change:
        moves, news = [], []
        kept.clear()
        for key, path in indexes.items():
            receipt = files[key]
            now = build_receipts.day_of(store, receipt.model, ledger.hour(receipt.hour).date()).get(receipt.hour)
            if now == receipt:
                kept[key] = paths.index_file(key)
                moves.append((place.key_of(path), kept[key]))
                news.append(msgspec.structs.replace(receipt, index=marks[key]))
        return Change(moves=tuple(moves), receipts=tuple(_receipts(store, news)))

    publish(store, plan)
    return kept


def _receipts(store: Store, receipts: Sequence[BuildReceipt]) -> Iterable[tuple[str, str]]:
    for model in sorted({each.model for each in receipts}):
        yield from build_receipts.merged_days(store, model, [each for each in receipts if each.model == model])
