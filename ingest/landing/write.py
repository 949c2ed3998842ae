"""Writing the records of one batch to the staged files of their event hours and of quarantine.

One COPY types, judges and files every decoded record; a second pass sorts them when they are of more event hours than
memory can hold open. An object that cannot be read is left out, and the others go on. Publishing is `land`'s.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from ingest.contracts import Contract
from ingest.contracts.model import pipeline_columns
from ingest.decode import DecodeReport, Limits, ObjectUnreadable, decode
from ingest.landing.fields import IdentitySql, Reader, Reading
from ingest.landing.publish import QUARANTINE_PARTITION, LandingError, Staged, first_line
from ingest.landing.read_json import JsonReader
from ingest.objects import RawObject
from lake.base.errors import HeadwaterError
from lake.base.sql import literal, quoted

GIB = 1 << 30
_CHUNK_BYTES = 1 << 20  # what the caches hold: chunks of 16 MiB take a tenth longer
# What is not DuckDB's: Python and Arrow (150 MiB before the first record), and what it takes beyond its limit, which
# grows with what it holds. Windows records need 192 MiB of DuckDB's, with one thread; 256 are given where less fails.
_OUTSIDE_DUCKDB, _BEYOND_ITS_LIMIT, _LEAST_OF_DUCKDB, _MORE_OF_DUCKDB = 200 << 20, 0.4, 192 << 20, 256 << 20
_PYTHON_BYTES, _OPEN_HOUR_BYTES = 170 << 20, 6 << 20  # the latter of a thread, before an hour's first row, uncounted
_ONE_THREAD_BELOW = _TWO_PASSES_BELOW = 768 << 20
_FEW_BYTES = 256 << 10  # of objects as stored, which a second thread is not worth: getting it ready takes 20 ms
_LEAST_MEMORY = 512 << 20  # with which the records of every source land
_COPIES = 24  # of a record, at most, that DuckDB has at a time: 17 were seen
_FLUSH_ROWS = 12288  # rows that one thread holds before they go to their partitions' files
_MOST_BROKEN = 2  # objects that break off while they are read, before the store counts as out of reach
_HOUR_BYTES = 96 << 20  # what an open hour may cost the second pass
# Level 1 and a small dictionary limit: raw text compresses better and faster so (750 MB of CloudTrail, 2 cores).
# DuckDB gathers a row group for each open hour before it writes: 3.4 GB over 24 hours peak at 1.9 GiB, at 2.1 with
# 20,480 rows.
_ROW_GROUP_ROWS = 12288
_FEWEST_ROW_GROUP_ROWS, _GROUP_BYTES = 2048, 16 << 20  # of the second pass
# DuckDB reserves a page for the dictionary of each column: of 1 MiB, 330 columns of Windows do not fit into 256 MiB.
_PARQUET = (
    "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000,"
    " string_dictionary_page_size_limit 65536"
)

_OF_THE_MACHINE = (
    HeadwaterError,
    OSError,
    MemoryError,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.HTTPException,
    duckdb.PermissionException,
    ObjectUnreadable,
)

Place = tuple[str, int]  # of a record: its object's name, and its number there
Progress = Callable[[int], None]
_Copy = Callable[[duckdb.DuckDBPyConnection, str, DecodeReport], None]


class _ManyHours(Exception):
    """The records are of more event hours than may be open at once."""


@dataclass(frozen=True)
class LandingSettings:
    """What landing may use: memory in bytes for the whole process, threads, and the decoder's limits."""

    memory_bytes: int = 2 * GIB
    threads: int = 2
    limits: Limits = field(default_factory=lambda: Limits(chunk_bytes=_CHUNK_BYTES))
    stalls_as: str = "stall"  # `quarantine` or `null` once someone has decided what a stalled batch should do
    least_of_duckdb: int = _LEAST_OF_DUCKDB  # bytes, whatever the memory


@dataclass(frozen=True)
class Writing:
    """What is written, from where to where. `write` does it."""

    contract: Contract
    objects: Sequence[RawObject]
    settings: LandingSettings
    staged: Staged
    now: datetime  # what is later by more than the contract's tolerance is in the future
    progress: Progress | None
    broke: list[Exception] = field(default_factory=list)
    unprocessable: dict[Place, str] = field(default_factory=dict)

    def write(self, *, whole: bool = False) -> "Written":
        """Write the records; an object that breaks off on the way is left out, and the others are read again.

        What was left out is named in the report's `refused`. `whole`: nothing may be left out. When some record makes
        the writing fail, the records that do are looked for, and go to quarantine as `unprocessable`.

        Raises:
            LandingError: more than `_MOST_BROKEN` break off, nothing may be left out, or the lake cannot be written.
        """
        broken: list[ObjectUnreadable] = []
        bad: dict[Place, str] = {}
        while True:
            names = {each.name for each in broken}
            objects = [each for each in self.objects if each.name not in names]
            one = replace(self, objects=objects, unprocessable=bad)
            try:
                written = one._write_all()
            except Exception as problem:
                cause = self._cause(problem)
                if not bad and lies_in_data(cause):
                    try:
                        bad = one._look_for_unprocessable()
                    except Exception as other:
                        cause = self._cause(other)
                    self.staged.clear()
                    if bad:
                        continue
                if not isinstance(cause, ObjectUnreadable):
                    raise self._not_landed(cause) from problem
                if whole or len(broken) >= _MOST_BROKEN or len(objects) < 2:
                    raise self._not_landed(broken[0] if broken else cause) from problem
                broken.append(cause)
                continue
            refused = written.report.refused
            refused += [(each.name, str(each)) for each in broken]
            if whole and refused:
                raise self._not_landed(OSError(refused[0][1]))
            return written

    def _cause(self, problem: Exception) -> Exception:
        """Return what broke the reading, if that is the cause of a problem, and remove what was staged."""
        cause = self._broke() or problem
        self.broke.clear()
        self.staged.clear()
        return cause

    def _not_landed(self, problem: Exception) -> LandingError:
        advice = ""
        if "Too many open files" in str(problem):
            advice = " Allow more open files (`ulimit -n 1024`)."
        elif isinstance(problem, duckdb.OutOfMemoryException | MemoryError):
            enough = max(_LEAST_MEMORY, 2 * self.settings.memory_bytes) >> 20
            advice = f" It had {self.settings.memory_bytes >> 20} MiB: set `memory: {enough}MiB` and land it again."
        return LandingError(
            f"{self.contract.source}: batch {self.staged.batch} was not landed: {first_line(problem)}."
            f"{advice} Nothing was published; the records are still in the objects they came from."
        )

    def _write_all(self) -> "Written":
        """Write in one pass; in two when the records are of more event hours than memory can hold open.

        Where that takes too much memory as well, one thread does it: each has vectors of its own.
        """
        frugal = replace(self, settings=replace(self.settings, threads=1, least_of_duckdb=_MORE_OF_DUCKDB))
        ways = [(self._in_one_pass, open_hours(self.settings)), (self._in_two_passes, None)]
        for copy, most_hours in ways[self.settings.memory_bytes < _TWO_PASSES_BELOW :]:
            try:
                return self._write(copy, most_hours)
            except Exception as problem:
                if not isinstance(problem, duckdb.OutOfMemoryException) and not isinstance(self._broke(), _ManyHours):
                    raise
                self.broke.clear()
                self.staged.clear()
        return frugal._write(frugal._in_two_passes)

    def _broke(self) -> Exception | None:
        return self.broke[0] if self.broke else None

    def _write(self, copy: _Copy, most_hours: int | None = None) -> "Written":
        reader, report = self._reader(), DecodeReport()
        stream = reader.stream(self._decoded(reader, report), report)
        few = sum(each.size for each in self.objects) < _FEW_BYTES
        settings = replace(self.settings, threads=1) if few else self.settings
        with connect(settings, self.staged) as con:
            reading = Reading()
            con.register("decoded", self._watched(stream, report, most_hours, reading))
            try:
                self._copy(con, reader, lambda query: copy(con, query, report))
            finally:
                reading.stop()
                con.unregister("decoded")
        return Written(report, reader)

    def _reader(self) -> Reader:
        return reader_of(self.contract, self.settings.stalls_as)

    def _decoded(self, reader: Reader, report: DecodeReport) -> Iterator[pa.RecordBatch]:
        keys, wrappers = self.contract.records_keys, self.contract.wrappers
        objects, limits, xml = _read_ahead(self.objects), _limits(self.settings), bool(self.contract.format.xml)
        batches = decode(objects, limits, keys, report, reader.line_form, wrappers, xml)
        if not self.unprocessable:
            return batches
        from ingest.landing.sift import marked

        return (marked(batch, self.unprocessable) for batch in batches)

    def _copy(self, con: duckdb.DuckDBPyConnection, reader: Reader, copy: Callable[[str], object]) -> None:
        """File the records of `decoded` by event hour, and rewrite what was rejected in quarantine's own shape."""
        latest = (self.now + self.contract.future_tolerance).astimezone(UTC).replace(tzinfo=None)
        copy(judged_query(reader, self.staged.batch, latest))
        rejected = self.staged.bronze / f"date={QUARANTINE_PARTITION}"
        if rejected.exists():
            con.execute(_quarantine_statement(self.contract, rejected, self.staged.quarantine))

    def _watched(
        self, stream: pa.RecordBatchReader, report: DecodeReport, most_hours: int | None, reading: "Reading"
    ) -> pa.RecordBatchReader:
        """The stream, telling how far it has got. DuckDB makes a text of what breaks it, so the error is kept.

        It breaks with `_ManyHours` once files of more than `most_hours` are open: DuckDB holds each open to the end.
        """

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for batch in reading.watched(stream):
                    if self.progress is not None:
                        self.progress(report.bytes_read)
                    if most_hours and sum(1 for _ in self.staged.bronze.glob("date=*/hour=*")) > most_hours:
                        raise _ManyHours
                    yield batch
            except Exception as problem:
                self.broke.append(problem)
                raise

        return pa.RecordBatchReader.from_batches(stream.schema, batches())

    def _look_for_unprocessable(self) -> dict[Place, str]:
        """Return the places of the records that make the writing fail, each with the error; the rest can be written."""
        from ingest.landing.sift import sift

        report = DecodeReport()

        def attempt(batches: list[pa.RecordBatch]) -> None:
            self.staged.clear()
            reader = self._reader()
            records = reader.stream(iter(batches), report).read_all()
            with connect(replace(self.settings, threads=1), self.staged) as con:
                con.register("decoded", records)
                self._copy(con, reader, lambda query: self._in_one_pass(con, query, report))

        return sift(self._decoded(self._reader(), report), attempt, lies_in_data)

    def _in_one_pass(self, con: duckdb.DuckDBPyConnection, query: str, report: DecodeReport) -> None:
        con.execute(_copy_by_hour(query, self.staged.batch, self.staged.bronze))

    def _in_two_passes(self, con: duckdb.DuckDBPyConnection, query: str, report: DecodeReport) -> None:
        unsorted = self.staged.place.path / "unsorted.parquet"
        # One file needs little memory however many event hours there are.
        con.execute(f"copy ({query}) to {literal(str(unsorted))} ({_PARQUET}, row_group_size {_FEWEST_ROW_GROUP_ROWS})")
        records = f"read_parquet({literal(str(unsorted))}, hive_partitioning = false)"
        found = con.execute(f"select distinct date || hour from {records} order by 1").fetchall()
        hours = [str(hour) for (hour,) in found]
        at_once = max(1, min(duckdb_bytes(self.settings) // _HOUR_BYTES, open_hours(self.settings)))
        record_bytes = max(report.bytes_decoded / max(report.records, 1), 1.0)
        rows = max(_FEWEST_ROW_GROUP_ROWS, min(_ROW_GROUP_ROWS, int(_GROUP_BYTES / record_bytes)))
        for at in range(0, len(hours), at_once):
            some = hours[at : at + at_once]
            query = f"select * from {records} where date || hour between {literal(some[0])} and {literal(some[-1])}"
            con.execute(_copy_by_hour(query, self.staged.batch, self.staged.bronze, rows))
        unsorted.unlink()


@dataclass(frozen=True)
class Written:
    """What writing counted: objects and records (`report`), drift and coverage (`reader`)."""

    report: DecodeReport
    reader: Reader


def reader_of(contract: Contract, stalls_as: str = "stall") -> Reader:
    """Return what reads a contract's records."""
    if contract.format.is_text:
        from ingest.landing.read_text import TextReader  # a third of the landing's code, which JSON does without

        return TextReader(contract, stalls_as)
    return JsonReader(contract, stalls_as)


def _read_ahead(objects: Sequence[RawObject]) -> Iterator[RawObject]:
    """The objects; those that are far away are asked for while earlier ones are read."""
    if not any(each.part for each in objects):
        return iter(objects)
    from ingest.transports.read_ahead import read_ahead  # loads boto3, which files of this machine do without

    return read_ahead(objects)


def duckdb_bytes(settings: LandingSettings) -> int:
    """Return how much of the memory is DuckDB's."""
    outside = _OUTSIDE_DUCKDB + int(settings.memory_bytes * _BEYOND_ITS_LIMIT)
    return max(settings.memory_bytes - outside, settings.least_of_duckdb)


def open_hours(settings: LandingSettings) -> int:
    """Return of how many event hours files may be open at once."""
    left = settings.memory_bytes - _PYTHON_BYTES - duckdb_bytes(settings)
    return max(1, left // (_OPEN_HOUR_BYTES * threads_of(settings)))


def threads_of(settings: LandingSettings) -> int:
    """Return how many threads DuckDB may have: each has vectors of its own for every column."""
    return 1 if settings.memory_bytes < _ONE_THREAD_BELOW else int(settings.threads)


def _limits(settings: LandingSettings) -> Limits:
    """The decoder's limits, none above what the memory can hold: a larger record is cut, and stops no other."""
    held = settings.limits
    return replace(
        held,
        max_record_bytes=min(held.max_record_bytes, max(duckdb_bytes(settings), _MORE_OF_DUCKDB) // _COPIES),
        max_document_bytes=min(held.max_document_bytes, max(settings.memory_bytes // 16, 1 << 20)),
    )


def connect(settings: LandingSettings, staged: Staged) -> duckdb.DuckDBPyConnection:
    """Return a connection that keeps to the settings' memory and spills into the step's own folder."""
    con = duckdb.connect(
        config={
            "memory_limit": f"{duckdb_bytes(settings)}B",
            "threads": threads_of(settings),
            "enable_external_file_cache": "false",
            "temp_directory": str(staged.spill),
            "preserve_insertion_order": "false",
            "partitioned_write_flush_threshold": _FLUSH_ROWS,
            "partitioned_write_max_open_files": 100_000,
        }
    )
    con.execute("set timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")
    return con


def lies_in_data(problem: BaseException) -> bool:
    """Whether an error comes of what the records hold, and not of the disk, the memory, the network or a person."""
    return isinstance(problem, Exception) and not isinstance(problem, _OF_THE_MACHINE)


def judged_query(reader: Reader, batch: str, latest_event_at: datetime) -> str:
    """Return the query that types and judges each record of the stream `decoded`: bronze's columns, date and hour.

    The date of a rejected record is `quarantine`, and its `_violations` are [reason, field, expected, found].
    `decoded` has line, object, row, problem, detail, arrived_at (TIMESTAMP, UTC) and either checked (0 keeps the
    contract, 1 keeps its types, 2 not known) or the values of text records. Columns of one step begin with two
    underscores, which no bronze column does.
    """
    identity = IdentitySql(reader.contract, reader.paths)
    names = ", ".join(quoted(each.name) for each in reader.contract.fields)
    made = {
        "_batch": literal(batch),
        "_content_hash": "hash(_raw)",  # md5 costs a tenth of the landing; DuckDB may change this hash with a version
        "_violations": "coalesce(__rejected, _violations)",
    }
    pipeline = ", ".join(
        f"{made.get(each.name, each.name)}::{each.duckdb_type} as {each.name}" for each in pipeline_columns
    )
    return f"""
with {reader.typed()},
identified as (
  select *, {identity.event_key()} as _event_key, {identity.event_at()} as _event_at from typed
),
judged as (
  select *, coalesce(__rejection, {identity.rejection(latest_event_at)}) as __rejected from identified
)
select {names}, {pipeline},
  case when __rejected is null then strftime(_event_at, '%Y-%m-%d') else '{QUARANTINE_PARTITION}' end as date,
  case when __rejected is null then strftime(_event_at, '%H') else '00' end as hour
from judged
"""


def _copy_by_hour(query: str, batch: str, out: Path, row_group_rows: int = _ROW_GROUP_ROWS) -> str:
    """The COPY of a query with date and hour to a folder of each event hour under `out`."""
    target = f"partition_by (date, hour), filename_pattern {literal(batch)}, overwrite_or_ignore true"
    return f"copy ({query}) to {literal(str(out))} ({_PARQUET}, row_group_size {row_group_rows}, {target})"


def _quarantine_statement(contract: Contract, staged: Path, out: Path) -> str:
    """The COPY that gives the rejected records quarantine's own shape, filed by arrival hour.

    A line that needs its object's header line to be read is kept with it: the two are an object that can be landed.
    """
    header = quoted(contract.format.header_field) if contract.format.header_field else ""
    raw = f"coalesce({header} || chr(10), '') || _raw" if header else "_raw"
    return f"""
copy (
  select {raw} as _raw, _violations[1] as reason, _violations[2] as field, _violations[3] as expected,
    _violations[4] as found, _source_object, _source_row, _batch, _arrived_at,
    {literal(contract.version)} as contract_version,
    strftime(_arrived_at, '%Y-%m-%d') as date, strftime(_arrived_at, '%H') as hour
  from read_parquet({literal(str(staged / "**" / "*.parquet"))}, hive_partitioning = false)
) to {literal(str(out))} ({_PARQUET}, partition_by (date, hour), filename_pattern 'q')
"""
