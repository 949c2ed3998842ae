"""Standing erasures: conditions that are kept so that erased records do not come back when they land again.

A condition may name the person it is about, so it lies apart from the ledger, in `erasures/`, which only landing and
erasing read. It stands until somebody ends it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from lake.base.sql import empty_select, literal
from lake.ledger import ERASED, Removed, decoded
from lake.query.condition import Condition, condition
from lake.query.quarantine import COLUMNS as QUARANTINE_COLUMNS
from lake.storage import paths
from lake.storage.store import Store

Columns = Sequence[tuple[str, str]]
_PARQUET = "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000"
_ROW_GROUP_ROWS = 12288
_ROW = "file_row_number"


class NotApplicable(RuntimeError):
    """A standing erasure that cannot be asked of what lands now. Nothing was landed."""


class ErasureRule(msgspec.Struct, frozen=True, kw_only=True):
    """One standing erasure; `secret` is what its hash in the ledger was salted with."""

    erasure: str
    source: str
    condition: str
    secret: str
    first: str = ""
    last: str = ""

    def covers(self, hour: str) -> bool:
        """Whether records of an hour are meant."""
        return (not self.first or hour >= self.first) and (not self.last or hour <= self.last)


_rule = msgspec.json.Decoder(ErasureRule)


def erasure_rules(store: Store, source: str) -> list[ErasureRule]:
    """Return the erasures that stand for a source. Raises BrokenReceipt: nothing may land until it is mended."""
    found = store.read_all(paths.erasure_conditions(source))
    return [decoded(key, data, _rule) for key, data in found]


@dataclass(frozen=True)
class Asked:
    """A condition as it is asked of the rows of a room; `columns` are those that bronze is to have at least."""

    condition: Condition
    columns: Columns

    def fits(self, con: duckdb.DuckDBPyConnection, room: str) -> str:
        """Return why a room cannot be asked; else ""."""
        return self.condition.fits(con, self.columns_of(room))

    def columns_of(self, room: str) -> Columns:
        """Return the columns that a file of the room has at least."""
        return self.columns if room == paths.BRONZE else QUARANTINE_COLUMNS

    def matching(self, room: str, addresses: Iterable[str]) -> str:
        """Return a SELECT of the rows that match in some files, with `file_row_number` and `__file`."""
        added = (*self.columns_of(room), (_ROW, "BIGINT"), ("__file", "VARCHAR"))
        listed = ", ".join(map(literal, addresses))
        options = f"union_by_name = true, hive_partitioning = false, {_ROW} = true, filename = '__file'"
        rows = f"({empty_select(added)}) union all by name (select * from read_parquet([{listed}], {options}))"
        return f"select * from ({rows}) where {self.condition.sql}"


def without(con: duckdb.DuckDBPyConnection, address: str, rows: str, out: Path, where: str = "true") -> None:
    """Write the rows of a file whose numbers are not in a relation `rows` (column `file_row_number`) to another."""
    held = f"read_parquet({literal(address)}, hive_partitioning = false, {_ROW} = true)"
    con.execute(
        f"copy (select * exclude ({_ROW}) from {held} as held where {where}"
        f" and not exists (select 1 from {rows} as gone where gone.{_ROW} = held.{_ROW}))"
        f" to {literal(str(out))} ({_PARQUET}, row_group_size {_ROW_GROUP_ROWS})"
    )


def drop(
    con: duckdb.DuckDBPyConnection, asked: Iterable[ErasureRule], columns: Columns, room: str, hour: str, file: Path
) -> list[Removed]:
    """Drop from a file that is about to land the rows that standing erasures are about; return what went.

    A file that keeps no row is removed. Quarantined records are asked as far as a condition fits their columns.

    Raises:
        NotApplicable: a condition cannot be asked of bronze, for a column of it is gone from the contract.
    """
    gone = []
    for each in asked:
        if each.covers(hour) and file.exists():
            rows = _dropped(con, each, columns, room, file)
            gone.append(Removed(ERASED, room, hour, rows, each.erasure))
    return [each for each in gone if each.rows]


def _dropped(con: duckdb.DuckDBPyConnection, each: ErasureRule, columns: Columns, room: str, file: Path) -> int:
    question = Asked(condition(each.condition), columns)
    if why := question.fits(con, room):
        if room == paths.QUARANTINE:
            return 0
        raise NotApplicable(
            f"erasure {each.erasure} stands for {each.source} and cannot be asked of what lands now: {why}. Erase anew"
            f" with a condition that fits, then end it: headwater erase {each.source} --end {each.erasure}"
        )
    con.execute(f"create or replace temp table gone as select {_ROW} from ({question.matching(room, [str(file)])})")
    row = con.execute("select count(*), (select count(*) from read_parquet(?)) from gone", [str(file)]).fetchone()
    rows, all_rows = row or (0, 0)
    if rows == all_rows:
        file.unlink()
    elif rows:
        left = file.with_name(f"{file.name}.left")
        without(con, str(file), "gone", left)
        left.replace(file)
    return int(rows)
