"""Rewriting one file without the rows that an erasure is about, and proving that the others are as they were.

What belongs here: the rows of one file, and the marks of those that stay. What does not: which files, publishing
(`lake.upkeep.erasure_publish`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from lake.base.errors import HeadwaterError
from lake.base.sql import literal
from lake.ledger import checksums
from lake.ledger.live_files import HeldFile
from lake.ledger.receipts import ErasedFile, FileMark
from lake.storage import paths
from lake.storage.store import Store
from lake.upkeep.erasure_rules import Asked, without

ROWS = "erased_rows"  # the table that collects what went: hour, _batch, _source_object, _source_row, _event_key
_GONE = "gone"


class NotErased(HeadwaterError):
    """An erasure that could not be finished. What was done is on record; run the same command again."""


@dataclass(frozen=True)
class Match:
    """One file with rows that match: those that count, by batch, and those that no receipt counts any more."""

    room: str
    key: str
    hour: str
    held: HeldFile | None
    rows: Mapping[str, int]
    dead: int

    @property
    def erased(self) -> int:
        """Return how many rows that count match."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class Rewritten:
    """One file as it is to become: its record, the new file (None when no row stays), and the marks of each batch."""

    match: Match
    record: ErasedFile
    out: Path | None
    marks: Mapping[str, tuple[FileMark, ...]]


def collect_into(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table that collects what went."""
    con.execute(
        f"create or replace temp table {ROWS}"
        " (hour varchar, _batch varchar, _source_object varchar, _source_row bigint, _event_key varchar)"
    )


def rewrite(con: duckdb.DuckDBPyConnection, store: Store, asked: Asked, match: Match, out: Path) -> Rewritten:
    """Write the rows of a file that count and do not match.

    Raises:
        NotErased: the new file does not hold just those.
    """
    url, room = store.url(match.key), match.room
    con.execute(f"create or replace temp table {_GONE} as {asked.matching(room, [url])}")
    if room == paths.BRONZE:
        con.execute(
            f"insert into {ROWS} select ?, _batch, _source_object, _source_row, _event_key from {_GONE}", [match.hour]
        )
    if match.held is None:
        record = ErasedFile(match.key, room, match.hour, 0, 0, match.dead, "", "")
        return Rewritten(match, record, None, {})
    counts = f"_batch in ({', '.join(map(literal, match.held.batches))})"
    rows = f"select * exclude (file_row_number) from {_file(url)} where {counts}"
    _, before = _sums(con, rows, room)
    stay = f"{rows} and not exists (select 1 from {_GONE} as gone where gone.file_row_number = held.file_row_number)"
    expected = _whole(con, stay)
    if expected[0]:
        without(con, url, _GONE, out, counts)
    written = f"select * from read_parquet({literal(str(out))}, hive_partitioning = false)" if expected[0] else stay
    if _whole(con, written) != expected:
        raise NotErased(f"{match.key}: the rows that stay are not as they were; the file was left as it is")
    by_batch, after = _sums(con, written, room)
    record = ErasedFile(match.key, room, match.hour, match.erased, expected[0], match.dead, before, after)
    size = out.stat().st_size if expected[0] else 0
    return Rewritten(match, record, out if expected[0] else None, _marks(match.held, match.rows, by_batch, size))


def _file(url: str) -> str:
    return f"read_parquet({literal(url)}, hive_partitioning = false, file_row_number = true) as held"


def _whole(con: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, str]:
    found = con.execute(f"select count(*), sum(hash(each)::hugeint)::varchar from ({rows}) as each").fetchone()
    return (int(found[0]), str(found[1])) if found else (0, "")


def _sums(con: duckdb.DuckDBPyConnection, rows: str, room: str) -> tuple[dict[str, tuple[int, str]], str]:
    """Return rows and checksum by batch, and the checksum of all."""
    found = con.execute(f"select _batch, count(*), {checksums.sums(room)} from ({rows}) group by all").fetchall()
    whole = con.execute(f"select coalesce({checksums.sums(room)}, '') from ({rows})").fetchone()
    return {str(batch): (int(count), str(summed)) for batch, count, summed in found}, str(whole and whole[0])


def _marks(
    held: HeldFile, erased: Mapping[str, int], left: Mapping[str, tuple[int, str]], size: int
) -> dict[str, tuple[FileMark, ...]]:
    """Return each batch's marks of the rewritten file: with their checksum as before, unless rows of it went."""
    total = sum(rows for rows, _ in left.values())
    marks: dict[str, tuple[FileMark, ...]] = {}
    for batch, mark in held.marks:
        shared = total if mark.shared else 0
        if not erased.get(batch):
            same = msgspec.structs.replace(mark, bytes=size, file_rows=shared)
            marks[batch] = (*marks.get(batch, ()), same)
        elif batch in left:
            rows, summed = left[batch]
            checksum = checksums.summed_again(mark.checksum, summed)
            marks[batch] = (FileMark(mark.key, mark.hour, rows, size, checksum, shared),)
        else:
            marks[batch] = ()
    return marks
