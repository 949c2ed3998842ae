"""Writing the records of one batch to the staged files of their event hours and of quarantine.

What belongs here: one pass or two over the objects, memory, and going on without an object that cannot be read. What
does not: publishing what was staged (`land`), SQL (`copy_sql`, `typing_sql`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from ingest.contracts import Contract
from ingest.decode import DecodeReport, Limits, ObjectUnreadable, decode
from ingest.landing.arrow_stream import flagged, text_values
from ingest.landing.copy_sql import (
    QUARANTINE_PARTITION,
    copy_by_hour,
    copy_unsorted,
    hours_query,
    judged_query,
    quarantine_statement,
    row_group_rows,
    slice_query,
)
from ingest.landing.coverage import CoverageCounter
from ingest.landing.drift import DriftCounter
from ingest.landing.failures import LandingError
from ingest.landing.fast_path import Precheck
from ingest.landing.json_sql import ContractSql
from ingest.landing.read_text import TextFields, line_form
from ingest.landing.stage import Staged
from ingest.landing.text_sql import TextSql
from ingest.objects import RawObject
from ingest.transports.read_ahead import read_ahead

GIB = 1 << 30
_CHUNK_BYTES = 1 << 20  # what the caches hold: chunks of 16 MiB take a tenth longer
_OUTSIDE_DUCKDB = 1000 << 20  # Python, Arrow, buffers, and what DuckDB takes beyond its limit: 3.4 GB over 24 hours
_FLUSH_ROWS = 12288  # rows that one thread holds before they go to their partitions' files
_MOST_BROKEN = 2  # objects that break off while they are read, before the store counts as out of reach
_HOUR_BYTES = 64 << 20  # what an open hour may cost DuckDB; before its first row it is 6 MB per thread

Progress = Callable[[int], None]
_Copy = Callable[[duckdb.DuckDBPyConnection, str, DecodeReport], None]
_Counted = tuple[DecodeReport, DriftCounter, CoverageCounter]


@dataclass(frozen=True)
class LandingSettings:
    """What landing may use: memory in bytes for the whole process, threads, and the decoder's limits."""

    memory_bytes: int = 2 * GIB
    threads: int = 2
    limits: Limits = field(default_factory=lambda: Limits(chunk_bytes=_CHUNK_BYTES))
    stalls_as: str = "stall"  # `quarantine` or `null` once someone has decided what a stalled batch should do


@dataclass(frozen=True)
class Writing:
    """Writing the records of one batch to the staged files of their event hours and of quarantine."""

    contract: Contract
    objects: Sequence[RawObject]
    settings: LandingSettings
    staged: Staged
    first_landed_at: datetime
    progress: Progress | None
    broke: list[Exception] = field(default_factory=list)

    def write(self) -> _Counted:
        """Write the records in one pass; in two when they are of more event hours than memory can hold open."""
        try:
            counted = self._read_into(self._in_one_pass)
        except duckdb.OutOfMemoryException:
            self.staged.clear()
            counted = self._read_into(self._in_two_passes)
        return counted

    def _read_into(self, copy: _Copy) -> _Counted:
        latest = (self.first_landed_at + self.contract.future_tolerance).astimezone(UTC).replace(tzinfo=None)
        contract, stalls_as = self.contract, self.settings.stalls_as
        is_text = contract.format.is_text
        sql = TextSql(contract, stalls_as) if is_text else ContractSql(contract, stalls_as)
        report, drift, coverage = DecodeReport(), DriftCounter(sql.layout), CoverageCounter(contract)
        objects, limits = read_ahead(self.objects), self.settings.limits
        form, wrappers = line_form(contract), contract.wrappers
        batches = self._told(decode(objects, limits, contract.records_keys, report, form, wrappers))
        if is_text:
            stream = text_values(batches, TextFields(contract, drift), coverage, report)
        else:
            stream = flagged(batches, Precheck(sql.layout), drift, report)
        with connect(self.settings, self.staged) as con:
            con.register("decoded", stream if self.progress is None else _watched(stream, report, self.progress))
            copy(con, judged_query(sql, self.staged.batch, latest), report)
            con.unregister("decoded")
            rejected = self.staged.bronze / f"date={QUARANTINE_PARTITION}"
            if rejected.exists():
                con.execute(quarantine_statement(self.contract, rejected, self.staged.quarantine))
        return report, drift, coverage

    def _told(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Keep what breaks the reading: DuckDB, which asks for the batches, would tell it as a traceback in a text."""
        try:
            yield from batches
        except Exception as problem:
            self.broke.append(problem)
            raise

    def _in_one_pass(self, con: duckdb.DuckDBPyConnection, query: str, report: DecodeReport) -> None:
        con.execute(copy_by_hour(query, self.staged.batch, self.staged.bronze))

    def _in_two_passes(self, con: duckdb.DuckDBPyConnection, query: str, report: DecodeReport) -> None:
        unsorted = self.staged.place.path / "unsorted.parquet"
        con.execute(copy_unsorted(query, unsorted))
        hours = [str(row[0]) for row in con.execute(hours_query(unsorted)).fetchall()]
        at_once = max(1, duckdb_bytes(self.settings) // _HOUR_BYTES)
        rows = row_group_rows(_HOUR_BYTES // 4, report.bytes_decoded / max(report.records, 1))
        for at in range(0, len(hours), at_once):
            some = hours[at : at + at_once]
            query = slice_query(unsorted, some[0], some[-1])
            con.execute(copy_by_hour(query, self.staged.batch, self.staged.bronze, rows))
        unsorted.unlink()


def written(writing: Writing, *, whole: bool = False) -> _Counted:
    """Write a batch's records; an object that breaks off on the way is left out, and the others are read again.

    What was left out stands in the report's `refused`. `whole`: nothing may be left out.

    Raises:
        LandingError: more than `_MOST_BROKEN` break off, something would be left out, or the lake cannot be written.
    """
    broken: list[ObjectUnreadable] = []
    while True:
        names = {each.name for each in broken}
        objects = [each for each in writing.objects if each.name not in names]
        try:
            counted = replace(writing, objects=objects).write()
        except (duckdb.Error, OSError, pa.ArrowException, ObjectUnreadable) as problem:
            told = writing.broke.pop() if writing.broke else problem
            spared = not whole and len(broken) < _MOST_BROKEN and len(objects) > 1
            if not isinstance(told, ObjectUnreadable):
                raise LandingError(_not_landed(writing, told)) from problem
            if not spared:
                raise LandingError(_not_landed(writing, broken[0] if broken else told)) from problem
            broken.append(told)
            writing.staged.clear()
            continue
        refused = counted[0].refused
        refused += [(each.name, str(each)) for each in broken]
        if whole and refused:
            raise LandingError(_not_landed(writing, OSError(refused[0][1])))
        return counted


def _not_landed(writing: Writing, problem: Exception) -> str:
    first_line = (str(problem) or type(problem).__name__).splitlines()[0]
    return (
        f"{writing.contract.source}: batch {writing.staged.batch} was not landed: {first_line}. Nothing was published;"
        " the records are still in the objects they came from."
    )


def duckdb_bytes(settings: LandingSettings) -> int:
    """Return how much of the memory is DuckDB's."""
    return max(settings.memory_bytes - _OUTSIDE_DUCKDB, 256 << 20)


def connect(settings: LandingSettings, staged: Staged) -> duckdb.DuckDBPyConnection:
    """Return a connection that keeps to the settings' memory and spills into the step's own folder."""
    con = duckdb.connect()
    con.execute(f"set memory_limit = '{duckdb_bytes(settings)}B'")
    con.execute(f"set threads = {int(settings.threads)}")
    con.execute("set temp_directory = ?", [str(staged.spill)])
    con.execute("set preserve_insertion_order = false")
    con.execute("set timezone = 'UTC'")
    con.execute(f"set partitioned_write_flush_threshold = {_FLUSH_ROWS}")
    con.execute("set partitioned_write_max_open_files = 100000")
    con.execute("set enable_progress_bar = false")
    return con


def _watched(stream: pa.RecordBatchReader, report: DecodeReport, progress: Progress) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stream:
            progress(report.bytes_read)
            yield batch

    return pa.RecordBatchReader.from_batches(stream.schema, batches())
