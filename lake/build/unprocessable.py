"""Records that no model can be made of: kept out of the tables of their hour, counted in its outcomes.

A model fails as a whole when one record makes DuckDB give up, e.g. by a number that no type holds. The hour is then
searched for the records that cause it (`lake.build.search`).
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import duckdb

from lake import ledger
from lake.base.sql import empty_select, literal, quoted
from lake.ledger.build_receipts import day_of
from lake.ledger.live_files import LiveFile
from lake.ledger.staleness import HELD, SEARCH_GOES_ON, Mappings, stale_hours
from lake.storage import paths
from lake.storage.duck import connect, rows_select
from lake.storage.store import Store

OUTCOME = "unprocessable"  # of a record: beside published, duplicate and filtered
NAMES = ("_batch", "_source_object", "_source_row")
_PLACE = f"({', '.join(NAMES)})"
HELD_BACK = "held back with"  # in what is said of records that were not told apart
_KIND = re.compile(r"^\s*([A-Za-z][\w -]*?) Error: ", re.MULTILINE)
_DBT = ("Runtime", "Compilation", "Database")
# What DuckDB says of machines and of SQL, not of data.
_NO_DATA = (
    *("IO", "HTTP", "INTERRUPT", "FATAL", "Binder", "Catalog", "Parser", "Syntax", "Permission", "Connection"),
    *(
        "Dependency",
        "Out of Memory",
        "Missing Extension",
        "Invalid type",
        "Not implemented",
        "TransactionContext",
        "Python exception",
    ),
)
_FILES = ("IO", "HTTP")
_DEAD = "database has been invalidated"


class Record(NamedTuple):
    """Where a record of bronze came from, which is its name: batch, object, row."""

    batch: str
    source_object: str
    source_row: int

    @property
    def sql(self) -> str:
        """Return the record as a row of SQL."""
        return f"({literal(self.batch)}, {literal(self.source_object)}, {self.source_row}::bigint)"


class Unprocessable(NamedTuple):
    """A record that is kept out of the tables of its hour (`YYYY-MM-DDTHH`), and the error."""

    hour: str
    record: Record
    error: str

    @property
    def is_held_back(self) -> bool:
        """Whether it may be sound: a search ended before it was tried alone, and the next build goes on."""
        return f": {HELD_BACK} " in self.error


Part = tuple[Record, Record]  # the first and the last of some records


def is_of_data(message: str) -> bool:
    """Whether a model failed over what it read, by what DuckDB said."""
    kinds = [kind for kind in _KIND.findall(message) if kind not in _DBT]
    return bool(kinds) and kinds[0] not in _NO_DATA


def may_be_of_files(message: str) -> bool:
    """Whether a model may have failed over a file that cannot be read, by what DuckDB said."""
    kinds = [kind for kind in _KIND.findall(message) if kind not in _DBT]
    if not kinds:  # Thrift, which reads footers, has words of its own; dbt has these two
        return "Compilation Error" not in message
    return kinds[0] in _FILES or kinds[0] not in _NO_DATA


def is_of_neighbours(message: str) -> bool:
    """Whether a model failed because another one had broken the DuckDB that they share."""
    return _DEAD in message


def what_was_said(message: str) -> str:
    """Return the error itself of a message of DuckDB or dbt: without the lines of SQL."""
    found = _KIND.search(message)
    said = message[found.start() :] if found else message
    return " ".join(said.partition("LINE ")[0].split())[:300]


def nested_too_deep(
    con: duckdb.DuckDBPyConnection, store: Store, files: Sequence[LiveFile], most: int, depth_of: Callable[[bytes], int]
) -> tuple[Unprocessable, ...]:
    """Return the records with more than `most` objects and lists inside each other: DuckDB's own functions die of some.

    Landing keeps such records out since receipts have digests, so only files of before are looked at, and merged ones.
    """
    found = []
    brackets = "length(_raw) - length(replace(replace(_raw, '{', ''), '[', ''))"
    for file in files:
        if all(mark.digest and not mark.shared for _, mark in file.marks):
            continue
        rows = con.execute(
            f"select {', '.join(NAMES)}, _raw from ({rows_select([file.address(store)])})"
            f" where length(_raw) > {most} and {brackets} > {most} order by all"
        ).fetchall()
        for *where, raw in rows:
            if (depth := depth_of(raw.encode())) > most:
                why = f"{depth:,} objects and lists inside each other; at most {most} are read"
                found.append(Unprocessable(file.hour, Record(*where), why))
    return tuple(found)


def view_of(source: str, rows: str, kept_out: Sequence[Unprocessable], part: Part | None = None) -> str:
    """Return the statement of a bronze view over a SELECT of rows: without some records, and of one part if given."""
    if kept_out:
        rows = f"select event.* from ({rows}) as event anti join {_values(kept_out)} using {_PLACE}"
    if part:
        # DuckDB makes a BETWEEN of two comparisons, which rows cannot have
        rows = f"select * from ({rows}) where case when {_PLACE} >= {part[0].sql} then {_PLACE} <= {part[1].sql} end"
    return f"create or replace view bronze.{quoted(paths.checked(source))} as {rows}"


def outcomes_sql(rows: str, kept_out: Sequence[Unprocessable]) -> str:
    """Return a SELECT of the outcomes of the records that are kept out, of a SELECT of all rows of bronze."""
    names = ", ".join(f"event.{name}" for name in ("_event_key", "_event_at", *NAMES))
    return (
        f"select {names}, {literal(OUTCOME)} as disposition, false as collision, known.error"
        f" from ({rows}) as event join {_values(kept_out)} using {_PLACE}"
    )


def _values(kept_out: Sequence[Unprocessable]) -> str:
    rows = ", ".join(f"{each.record.sql[:-1]}, {literal(each.error)})" for each in kept_out)
    return f"(values {rows}) as known({', '.join(NAMES)}, error)"


def recorded(store: Store, source: str, hours: Sequence[str]) -> tuple[Unprocessable, ...]:
    """Return what is kept out of hours by their outcomes as they are published. Without any, only receipts are read."""
    model = f"{paths.OUTCOMES}__{source}"
    days = {day: day_of(store, model, day) for day in sorted({ledger.hour(hour).date() for hour in hours})}
    receipts = {hour: days[ledger.hour(hour).date()].get(hour) for hour in hours}
    found: list[Unprocessable] = []
    for hour, receipt in receipts.items():
        if receipt is None or not receipt.counts.get(OUTCOME) or not receipt.file:
            continue
        with connect(store) as con, suppress(duckdb.Error):  # of a damaged file: its records are tried again
            rows = con.execute(
                f"select {', '.join(NAMES)}, error from read_parquet({literal(store.url(receipt.file))})"
                f" where disposition = {literal(OUTCOME)} order by all"
            ).fetchall()
            found += [Unprocessable(hour, Record(*where), error) for *where, error in rows]
    return tuple(found)


def held_back_hours(store: Store, mappings: Mappings, source: str, hours: Sequence[str]) -> list[str]:
    """Return those hours that are stale for nothing but records that were held back."""
    model = f"{paths.OUTCOMES}__{source}"
    days = [day_of(store, model, day) for day in sorted({ledger.hour(hour).date() for hour in hours})]
    held = {hour for day in days for hour, receipt in day.items() if receipt.counts.get(HELD)}
    if not held.intersection(hours):
        return []
    return [
        each.hour
        for each in stale_hours(store, mappings, source, {})
        if each.hour in held and set(each.whys.values()) == {SEARCH_GOES_ON}
    ]


def unreadable(columns: Sequence[Sequence[str]], problem: str) -> str:
    """Return a SELECT of the given columns that fails with a problem when it is run."""
    failing = f"select error({literal(problem)}) as _problem"
    return f"select rows.* from ({failing}) left join ({empty_select(columns)}) as rows on _problem is null"
