"""Merging Parquet files of one hour into one, and proving that no row was changed on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from lake import ledger
from lake.base.sql import literal
from lake.ledger.live_files import LiveFile, addresses
from lake.storage import paths
from lake.storage.duck import connect, rows_select
from lake.storage.store import Store

# DuckDB holds a row group per thread while it writes: raw records of 20 kB would make a group of 122,880 rows 2.5 GB.
_PARQUET = "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000, row_group_size 61440"
_ROW_GROUP_BYTES = 64 << 20

Types = dict[str, Any]  # DuckDB's type of each column


class RowsChanged(RuntimeError):
    """A merged file does not hold the rows of its members, or a member not what its receipt says. Nothing was done."""


_OUTSIDE_DUCKDB = 512 << 20  # Python, and what DuckDB takes beyond its limit while it writes


@dataclass(frozen=True)
class Resources:
    """What rewriting files may use: memory in bytes for the whole process, and threads."""

    memory_bytes: int = 2 << 30
    threads: int = 2

    def connect(self, store: Store, folder: Path) -> duckdb.DuckDBPyConnection:
        """Return a connection that keeps to this, and spills into a folder."""
        limit = max(self.memory_bytes - _OUTSIDE_DUCKDB, 256 << 20)
        con = connect(store, {"memory_limit": f"{limit}B", "threads": self.threads})
        con.execute("set preserve_insertion_order = false")  # rows have none, and row groups keep to a size only so
        con.execute("set temp_directory = ?", [str(folder / "spill")])
        return con


@dataclass(frozen=True)
class Sums:
    """What some rows add up to, by batch: rows, checksum of content and origin; and over every column of every row."""

    batches: dict[str, tuple[int, str]]
    columns: str


def mergeable(con: duckdb.DuckDBPyConnection, store: Store, files: Sequence[LiveFile]) -> Iterator[list[LiveFile]]:
    """Yield groups of files whose common columns have the same types, so that merging casts no value."""
    groups: list[tuple[list[Types], list[LiveFile]]] = []
    for types, same in _by_schema(con, store, files):
        for others, group in groups:
            if all(_compatible(type_, held.get(name, type_)) for held in others for name, type_ in types.items()):
                others.append(types)
                group += same
                break
        else:
            groups.append(([types], same))
    for _, group in groups:
        yield sorted(group, key=lambda file: file.key)


def merge(
    con: duckdb.DuckDBPyConnection, store: Store, files: Sequence[LiveFile], room: str, out: Path
) -> tuple[Sums, Sums]:
    """Write the rows that count in some files to one, and return the sums before and after, which are equal.

    Raises:
        RowsChanged: they are not, or a file does not hold what its receipt says.
    """
    rows = rows_select(addresses(store, files))
    before = _sums(con, rows, room)
    _hold_against_receipts(files, before, room)
    con.execute(f"copy ({rows}) to {literal(str(out))} ({_PARQUET}, row_group_size_bytes {_ROW_GROUP_BYTES})")
    after = _sums(con, f"select * from read_parquet({literal(str(out))}, hive_partitioning = false)", room)
    if before != after:
        raise RowsChanged(f"{files[0].key} and {len(files) - 1} more: the merged file has other rows")
    return before, after


def _sums(con: duckdb.DuckDBPyConnection, rows: str, room: str) -> Sums:
    found = con.execute(
        f"select _batch, count(*), {ledger.row_sums(room)}, sum(hash(held)::hugeint)::hugeint from ({rows}) as held"
        " group by _batch order by _batch"
    ).fetchall()
    whole = sum(int(row[3]) for row in found)
    return Sums({str(row[0]): (int(row[1]), str(row[2])) for row in found}, str(whole))


def _hold_against_receipts(files: Sequence[LiveFile], found: Sums, room: str) -> None:
    """Raise RowsChanged unless each batch has the rows that its receipt counts; in bronze also of the same content."""
    expected: dict[str, tuple[int, int]] = {}
    for batch, mark in (pair for file in files for pair in file.marks):
        rows, contents = expected.get(batch, (0, 0))
        expected[batch] = rows + mark.rows, contents + ledger.content_sum(mark.checksum)
    held = {batch: (rows, ledger.content_sum(summed)) for batch, (rows, summed) in found.batches.items()}
    compared = 2 if room == paths.BRONZE else 1  # quarantine's contents are hashed anew by each version of DuckDB
    wrong = [each for each in {*held, *expected} if held.get(each, ())[:compared] != expected.get(each, ())[:compared]]
    if wrong:
        raise RowsChanged(
            f"{files[0].key}: the rows of batch {min(wrong)} are not the ones that its receipt counts; land it again"
        )


def _by_schema(
    con: duckdb.DuckDBPyConnection, store: Store, files: Sequence[LiveFile]
) -> Iterator[tuple[Types, list[LiveFile]]]:
    listed = ", ".join(literal(store.url(file.key)) for file in files)
    found = con.execute(
        "select file_name, string_agg(concat_ws(' ', name, type, num_children, converted_type, logical_type), ','"
        f" order by column_id) from parquet_schema([{listed}]) group by all"
    ).fetchall()
    schemas = dict(found)
    same: dict[str, list[LiveFile]] = {}
    for file in files:
        same.setdefault(schemas[store.url(file.key)], []).append(file)
    for group in same.values():
        one = literal(store.url(group[0].key))
        asked = con.execute(f"select * from read_parquet({one}, hive_partitioning = false) limit 0")
        yield {column[0]: column[1] for column in asked.description or ()}, group


def _compatible(one: Any, other: Any) -> bool:
    """Whether values of both types keep their own when they meet in one column; structs may have other fields."""
    if one.id == other.id == "struct":
        fields = dict(other.children)
        return all(_compatible(type_, fields.get(name, type_)) for name, type_ in one.children)
    if one.id == other.id == "list":
        return _compatible(one.children[0][1], other.children[0][1])
    return bool(one == other)
