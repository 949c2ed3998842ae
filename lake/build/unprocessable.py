"""Records that no model can be made of: found by halving an hour, kept out of its tables, counted in its outcomes.

A model fails as a whole when one record makes DuckDB give up, e.g. by a number that no type holds. The hour is then
tried in halves until the records that cause it are alone.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import duckdb

from lake import ledger
from lake.base.errors import HeadwaterError
from lake.base.sql import empty_select, literal, quoted
from lake.ledger.build_receipts import day_of
from lake.ledger.live_files import LiveFile
from lake.storage import paths
from lake.storage.duck import connect, rows_select
from lake.storage.store import Store

OUTCOME = "unprocessable"  # of a record: beside published, duplicate and filtered
_NAMES = ("_batch", "_source_object", "_source_row")
_PLACE = f"({', '.join(_NAMES)})"
MOST_TRIES = 400  # of one search, 0.3 s each of Okta events; a mapping that needs more is at fault itself
_LOOKS = (5, 20, 80)  # so many records fail: parts of the others are tried, for there may be too many
_PARTS = 8
_ALL_FAIL = 25  # records that fail one after the other, and none that does not
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


Part = tuple[Record, Record]  # the first and the last of some records


class NotAlone(HeadwaterError):
    """The records that make a model fail cannot be told from the others, or are too many."""


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


def isolate(
    records: Sequence[Record], attempt: Callable[[Part], str], most: int = MOST_TRIES
) -> list[tuple[Record, str]]:
    """Return the records that fail on their own, each with its error. All of them together are known to fail.

    `records` are in their order; `attempt` tries those of a part and returns the error, or "" if there is none. One
    record of a million is found by about 23 tries; each more takes as many as the records up to it have binary digits.

    Raises:
        NotAlone: records fail only together, or too many fail: after `most` tries at the latest, and soon where they
            fail all over.
    """
    return _Isolation(records, attempt, most).all_that_fail()


@dataclass
class _Isolation:
    records: Sequence[Record]
    attempt: Callable[[Part], str]
    most: int
    tries: int = 0
    passed: bool = False
    found: list[tuple[Record, str]] = field(default_factory=list)
    second: tuple[int, int] = (0, 0)  # the place of the second that was found, and the tries until then

    def all_that_fail(self) -> list[tuple[Record, str]]:
        """Find the first record that fails, then the next one after it: in steps that grow until one fails."""
        of, at, step, why = len(self.records), 0, len(self.records), ""
        while at < of:
            end = min(at + step, of)
            if self.found and not (why := self._try(at, end)):
                at, step = end, step * 2
                continue
            place = self._first_of(at, end, why)
            at, step = place + 1, max(2 * (place - at), 1 if len(self.found) > 1 else of // 4)
            self._refuse_many(at)
        return self.found

    def _first_of(self, at: int, end: int, why: str) -> int:
        """Find the first record that fails of those from `at` up to `end`, which fail together; return its place."""
        while end - at > 1:
            middle = (at + end) // 2
            if why := self._try(at, middle):
                end = middle
            else:
                at = middle  # then the other half fails: no need to try it
        if not (why := why or self._try(at, end)):
            raise NotAlone(f"no record fails alone, last tried {self.records[at]}")
        self.found.append((self.records[at], why))
        return at

    def _refuse_many(self, at: int) -> None:
        """Give up when nothing but failing records is found, or when the rest fails alike as far as the tries reach."""
        found, rest = len(self.found), len(self.records) - at
        if found >= _ALL_FAIL and not self.passed:
            raise NotAlone(f"{found} records fail, and none of those tried does not")
        if found == 2:
            self.second = (at - 1, self.tries)
        if found not in _LOOKS:
            return
        size, tries = at - self.second[0], self.tries - self.second[1]
        reach = size * (self.most - self.tries) // tries
        if reach >= rest or size > reach:
            return
        starts = [at + (reach - size) * number // (_PARTS - 1) for number in reversed(range(_PARTS))]
        if all(self._try(start, start + size) for start in starts):
            raise NotAlone(
                f"{found} of the first {at:,} of {len(self.records):,} records fail, and some of every part that was"
                " tried of the others"
            )

    def _try(self, at: int, end: int) -> str:
        if self.tries >= self.most:
            raise NotAlone(
                f"{self.tries} tries have found {len(self.found)} records that fail among the first {at:,} of"
                f" {len(self.records):,}"
            )
        self.tries += 1
        why = self.attempt((self.records[at], self.records[end - 1]))
        self.passed |= not why
        return why


@dataclass
class Tried:
    """Tries what a model does with its rows over parts of its records; `is_broken` when DuckDB itself broke over it.

    `narrow` lets the model read a part alone. Once a part has failed at one of the `steps`, those after it wait for
    another search: they would take most of the time.
    """

    con: duckdb.DuckDBPyConnection
    narrow: Callable[[Part], None]
    steps: Callable[[], Iterable[str]]
    tries: int = 0
    is_broken: bool = False
    most_steps: int | None = None

    def __call__(self, part: Part) -> str:
        """Return the error over a part; "" when there is none. What is not of data is raised."""
        self.tries += 1
        done = 0
        try:
            self.narrow(part)
            for step in islice(self.steps(), self.most_steps):
                self.con.execute(step)
                done += 1
        except duckdb.Error as problem:
            self.is_broken = isinstance(problem, (duckdb.InternalException, duckdb.FatalException))
            if self.is_broken or not is_of_data(f"{problem}\n"):
                raise
            self.most_steps = self.most_steps or done + 1
            return what_was_said(str(problem))
        return ""


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
            f"select {', '.join(_NAMES)}, _raw from ({rows_select([file.address(store)])})"
            f" where length(_raw) > {most} and {brackets} > {most} order by all"
        ).fetchall()
        for *where, raw in rows:
            if (depth := depth_of(raw.encode())) > most:
                why = f"{depth:,} objects and lists inside each other; at most {most} are read"
                found.append(Unprocessable(file.hour, Record(*where), why))
    return tuple(found)


def records_of(con: duckdb.DuckDBPyConnection, source: str) -> list[Record]:
    """Return the records of a bronze view, in their order."""
    rows = con.execute(f"select {', '.join(_NAMES)} from bronze.{quoted(source)} order by all").fetchall()
    return [Record(*row) for row in rows]


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
    names = ", ".join(f"event.{name}" for name in ("_event_key", "_event_at", *_NAMES))
    return (
        f"select {names}, {literal(OUTCOME)} as disposition, false as collision, known.error"
        f" from ({rows}) as event join {_values(kept_out)} using {_PLACE}"
    )


def _values(kept_out: Sequence[Unprocessable]) -> str:
    rows = ", ".join(f"{each.record.sql[:-1]}, {literal(each.error)})" for each in kept_out)
    return f"(values {rows}) as known({', '.join(_NAMES)}, error)"


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
                f"select {', '.join(_NAMES)}, error from read_parquet({literal(store.url(receipt.file))})"
                f" where disposition = {literal(OUTCOME)} order by all"
            ).fetchall()
            found += [Unprocessable(hour, Record(*where), error) for *where, error in rows]
    return tuple(found)


def unreadable(columns: Sequence[Sequence[str]], problem: str) -> str:
    """Return a SELECT of the given columns that fails with a problem when it is run."""
    failing = f"select error({literal(problem)}) as _problem"
    return f"select rows.* from ({failing}) left join ({empty_select(columns)}) as rows on _problem is null"
