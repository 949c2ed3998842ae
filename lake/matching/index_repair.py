"""Indexes that are missing or cannot be used are made from the table's file, and kept.

What belongs here: telling which index can be used, and making the others. What does not: what an index holds
(`lake.matching.index`).

A lake that was built before there were indexes, or whose index files were damaged or lost, is so searched in the tables
themselves, once: never passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import msgspec

from lake import ledger
from lake.base.sql import literal
from lake.ledger.receipts import BuildReceipt
from lake.matching.index import LONG_TEXT, OPTIONS, VERSION, index_select
from lake.matching.index_files import mark_of
from lake.ocsf.attributes import EventClass
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

_NOT_OF_FILES = (
    duckdb.ParserException,
    duckdb.CatalogException,
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
)

Files = Mapping[str, BuildReceipt]  # key of a file of silver → the build that made it


class Unreadable(RuntimeError):
    """A file that is damaged, or cannot be reached; the message is DuckDB's own, on one line."""


@contextmanager
def reading() -> Iterator[None]:
    """Tell what goes wrong with files from other errors.

    Raises:
        Unreadable: DuckDB could not read a file; of many, it does not say which.
    """
    try:
        yield
    except _NOT_OF_FILES:
        raise
    except duckdb.Error as problem:
        raise Unreadable(" ".join(str(problem).split())[:300]) from problem


def usable(store: Store, files: Files) -> dict[str, str]:
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


def readable(con: duckdb.DuckDBPyConnection, address: str, rows: int) -> bool:
    """Whether an index file can be read to its end and has the rows that its receipt says."""
    read = "sum(hash(kind, key_high, key_low, first_at, last_at)::hugeint)"
    try:
        with reading():
            row = con.execute(f"select count(*), {read} from read_parquet({literal(address)})").fetchone()
    except Unreadable:
        return False
    return row is not None and row[0] == rows


def made(con: duckdb.DuckDBPyConnection, store: Store, place: Workplace, event_class: EventClass, key: str) -> Path:
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
        f"select path_in_schema from parquet_metadata([{', '.join(map(literal, addresses))}]) group by 1"
        " having bool_or(stats_null_count is null or stats_null_count < num_values or stats_min_value is not null"
        f" or total_uncompressed_size >= {LONG_TEXT})"
    ).fetchall()
    return {".".join(step for step in row[0].split(", ") if step not in ("list", "element")) for row in rows}


def keep(store: Store, place: Workplace, files: Files, indexes: Mapping[str, Path]) -> dict[str, str]:
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
            now = ledger.build_day(store, receipt.model, ledger.hour(receipt.hour).date()).get(receipt.hour)
            if now == receipt:
                kept[key] = paths.index_file(key)
                moves.append((place.key_of(path), kept[key]))
                news.append(msgspec.structs.replace(receipt, index=marks[key]))
        return Change(moves=tuple(moves), receipts=tuple(_written(store, news)))

    publish(store, plan)
    return kept


def _written(store: Store, receipts: Iterable[BuildReceipt]) -> Iterable[tuple[str, str]]:
    by_model: dict[str, list[BuildReceipt]] = {}
    for each in receipts:
        by_model.setdefault(each.model, []).append(each)
    for model, news in by_model.items():
        yield from ledger.with_builds(store, model, news)
