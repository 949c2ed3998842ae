"""Landing one batch: decode, hold against the contract, write bronze and quarantine, publish with the receipt.

What belongs here: the order of the steps. What does not: SQL (`copy_sql`, `typing_sql`), reading the staged files
back (`staged`), or which objects make a batch (`history`, `orchestration`).

Every record that the decoder counts ends in exactly one file: of an event hour, or of quarantine. One COPY writes
both; a rejected record travels in the partition `date=quarantine` with its reason in `_violations`, and is then
rewritten in quarantine's own shape.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb
import msgspec
import pyarrow as pa

from ingest.contracts import Contract
from ingest.decode import DecodeReport, Limits, ObjectUnreadable, decode
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
from ingest.landing.erased import publish_without_erased
from ingest.landing.flags import flagged, text_values
from ingest.landing.precheck import Precheck
from ingest.landing.staged import Staged, receipt_of
from ingest.landing.text_fields import TextFields, line_form
from ingest.landing.text_sql import TextSql
from ingest.landing.typing_sql import ContractSql
from ingest.objects import RawObject
from ingest.transports.read_ahead import read_ahead
from lake import ledger
from lake.publish import Workplace
from lake.receipts import LandingReceipt, Removed
from lake.removal import with_erased
from lake.standing import NotApplicable
from lake.store import Store

GIB = 1 << 30
_CHUNK_BYTES = 1 << 20  # what the caches hold: chunks of 16 MiB take a tenth longer
_OUTSIDE_DUCKDB = 1000 << 20  # Python, Arrow, buffers, and what DuckDB takes beyond its limit: 3.4 GB over 24 hours
_FLUSH_ROWS = 12288  # rows that one thread holds before they go to their partitions' files
_HOUR_BYTES = 64 << 20  # what an open hour may cost DuckDB; before its first row it is 6 MB per thread

Progress = Callable[[int], None]
_Copy = Callable[[duckdb.DuckDBPyConnection, str, DecodeReport], None]
_Counted = tuple[DecodeReport, DriftCounter, CoverageCounter]


class LandingError(RuntimeError):
    """A batch that could not be landed. Nothing was published; the message says where its records are."""


class ObjectsGone(LandingError):
    """Objects that a batch was made of are gone: landing it again would lose their records."""


class FewerRecords(LandingError):
    """A batch that is asked for again and answers fewer records than it landed; the landed ones stay as they are."""


@dataclass(frozen=True)
class LandingSettings:
    """What landing may use: memory in bytes for the whole process, threads, and the decoder's limits."""

    memory_bytes: int = 2 * GIB
    threads: int = 2
    limits: Limits = field(default_factory=lambda: Limits(chunk_bytes=_CHUNK_BYTES))
    stalls_as: str = "stall"  # `quarantine` or `null` once someone has decided what a stalled batch should do


def land(
    contract: Contract,
    objects: Sequence[RawObject],
    store: Store,
    batch: str,
    settings: LandingSettings | None = None,
    ignored: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
    may_shrink: bool = True,
    notes: Sequence[str] = (),
) -> LandingReceipt:
    """Land objects as one batch and return its receipt, which is durable when this returns.

    Landing the same batch again replaces exactly its own files; files whose rows are the same are left alone.
    A record that violates a field whose contract says `stall` leaves the batch unpublished, with status `stalled`.
    `may_shrink` is false for what cannot take records back, such as an API that forgets old ones. An object that is
    gone when its turn comes is passed over, and stands in the receipt's `ignored` with the reason.

    Raises:
        ObjectsGone: the batch holds records of an object that is gone. Bronze keeps what it has.
        FewerRecords: the batch may not shrink, and would. Bronze keeps what it has.
        LandingError: an object cannot be read, or the lake cannot be written. The objects are where they were.
    """
    settings = settings or LandingSettings()
    started = time.monotonic()
    previous = ledger.landing(store, contract.source, batch)
    now = datetime.now(UTC)
    first_landed_at = datetime.fromisoformat(previous.first_landed_at) if previous else now
    with Workplace(store, "land") as place:
        staged = Staged(place, batch)
        writing = _Writing(contract, objects, settings, staged, first_landed_at, progress)
        try:
            report, drift, coverage = writing.write()
        except (duckdb.Error, OSError, pa.ArrowException, ObjectUnreadable) as problem:
            told = writing.broke[-1] if writing.broke else problem
            first_line = (str(told) or type(told).__name__).splitlines()[0]
            raise LandingError(
                f"{contract.source}: batch {batch} was not landed: {first_line}. Nothing was published; the records"
                " are still in the objects they came from."
            ) from problem
        check_none_gone(contract.source, batch, previous, report.gone)

        def receipt(gone: Sequence[Removed]) -> LandingReceipt:
            made = receipt_of(contract, staged, report, drift, coverage, settings.stalls_as)
            if previous and not may_shrink and made.read < previous.read:
                raise FewerRecords(
                    f"{contract.source}: batch {batch} landed {previous.read} records, and now {made.read} were found."
                    " Nothing was changed: bronze keeps what it has. Does the source still keep records of that time?"
                )
            made = msgspec.structs.replace(
                made,
                first_landed_at=first_landed_at.isoformat(),
                landed_at=now.isoformat(),
                ignored=(*ignored, *made.ignored),
                notes=(*notes, *made.notes),
                seconds=round(time.monotonic() - started, 3),
            )
            return with_erased(made, gone)

        try:
            return publish_without_erased(store, contract, staged, lambda: connect(settings, staged), receipt)
        except NotApplicable as problem:
            raise LandingError(f"{contract.source}: batch {batch} was not landed: {problem}") from problem


def check_none_gone(source: str, batch: str, held: LandingReceipt | None, gone: Collection[str]) -> None:
    """Raise ObjectsGone if a batch holds records of objects that are gone."""
    lost = [mark.name for mark in held.objects if mark.name in gone] if held else []
    if lost:
        raise ObjectsGone(
            f"{source}: batch {batch} holds {len(lost)} objects that are no longer at the source (first: {lost[0]})."
            " Landing it again would lose their records, so nothing was changed; bronze keeps what it has."
        )


@dataclass(frozen=True)
class _Writing:
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
        rejected = self.staged.bronze / f"date={QUARANTINE_PARTITION}"
        if rejected.exists():
            with connect(self.settings, self.staged) as con:
                con.execute(quarantine_statement(self.contract, rejected, self.staged.quarantine))
        return counted

    def _read_into(self, copy: _Copy) -> _Counted:
        latest = (self.first_landed_at + self.contract.future_tolerance).astimezone(UTC).replace(tzinfo=None)
        contract, stalls_as = self.contract, self.settings.stalls_as
        is_text = contract.format.is_text
        sql = TextSql(contract, stalls_as) if is_text else ContractSql(contract, stalls_as)
        report, drift, coverage = DecodeReport(), DriftCounter(sql.layout), CoverageCounter(contract)
        objects, limits = read_ahead(self.objects), self.settings.limits
        batches = self._told(decode(objects, limits, contract.records_keys, report, line_form(contract)))
        if is_text:
            stream = text_values(batches, TextFields(contract, drift), coverage, report)
        else:
            stream = flagged(batches, Precheck(sql.layout), drift, report)
        with connect(self.settings, self.staged) as con:
            con.register("decoded", stream if self.progress is None else _watched(stream, report, self.progress))
            copy(con, judged_query(sql, self.staged.batch, latest), report)
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
