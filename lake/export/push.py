"""Pushing: the hours that are behind go to their destination, each under the table's lock, each with a receipt.

Two pushes of one table at one destination wait for each other; the second finds the hour delivered. A killed push
leaves no receipt, so the hour is behind and is pushed again: destinations replace a partition whole.
"""

import errno
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from lake.base.sql import literal
from lake.export.declaration import EVENT_ID, Export
from lake.export.destination import Delivery, Destination, Partition, Refusal, altered_files
from lake.export.errors import (
    BadDeclaration,
    DestinationDenied,
    DestinationUnavailable,
    ExportError,
    SchemaConflict,
    one_line,
)
from lake.export.json_sql import columns_of, json_text
from lake.export.rows import Reader, RowsMoved, checksum_over, read_rows
from lake.export.status import hour_of
from lake.ledger import BrokenReceipt
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.export_receipts import Counted, ExportReceipt, begun_key, with_exports
from lake.ledger.published_tables import Slot, mark
from lake.storage import paths
from lake.storage.publish import Change, Overtaken, Workplace, publish, recover
from lake.storage.store import LostLock, Store

_ATTEMPTS = 3  # at reading rows whose hour is built anew meanwhile
_AWAY = 3  # hours in a row for which destination or lake did not answer, each after all its retries


@dataclass(frozen=True)
class Limits:
    """What one push may take of this machine."""

    memory_bytes: int = 1 << 30
    threads: int = 2


@dataclass(frozen=True)
class Pushed:
    """What became of one hour: its receipt, or why it stays behind. Neither means that there was nothing to push.

    `lasting` says that trying again would not heal it: somebody has to change something first.
    """

    hour: str
    receipt: ExportReceipt | None = None
    failed: str = ""
    lasting: bool = False


def push_hours(
    store: Store,
    destination: Destination,
    export: Export,
    hours: Iterable[str],
    limits: Limits | None = None,
    again: bool = False,
    verify: bool = False,
) -> Iterator[Pushed]:
    """Push hours of one table unless they are delivered already; with `again` in any case. Yield each when it is done.

    With `verify`, an hour that is delivered is pushed when the destination, asked again, holds something else.

    An hour that fails stops no other. What is wrong with a declaration or a column may be so in one hour alone: the
    last hour is tried next, and where that fails too, the rest is not tried; nor is it where credentials are refused,
    or where nobody answered for some hours in a row. A receipt is also written when the destination holds other rows
    than were pushed: `ExportReceipt.mismatch` says so.
    """
    left, stopped, probing, away = deque(hours), "", False, 0
    tried_the_last = False
    while left:
        hour = left.pop() if probing else left.popleft()
        if stopped:
            yield Pushed(hour, failed=f"not tried: {stopped}", lasting=away < _AWAY)
            continue
        try:
            pushed = Pushed(hour, push_hour(store, destination, export, hour, limits, again, verify))
            away, probing = 0, False
        except (BadDeclaration, SchemaConflict, BrokenReceipt) as problem:
            pushed = Pushed(hour, failed=str(problem), lasting=True)
            stopped = str(problem) if probing else ""
            probing, tried_the_last = not tried_the_last, True
        except DestinationDenied as problem:
            stopped = str(problem)
            pushed = Pushed(hour, failed=stopped, lasting=True)
        except _OF_ONE_HOUR as problem:
            pushed, probing = Pushed(hour, failed=failure_text(problem)), False
            away = away + 1 if isinstance(problem, DestinationUnavailable | OSError) else 0
            stopped = pushed.failed if away == _AWAY else ""
        yield pushed


_OF_ONE_HOUR = (ExportError, OSError, LostLock, Overtaken, duckdb.Error, pa.ArrowException)


def failure_text(problem: Exception) -> str:
    """Return on one line why an hour failed, whether a destination, the lake or this machine raised it."""
    if isinstance(problem, ExportError | LostLock | Overtaken):
        return str(problem)
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return f"the disk is full ({problem.filename or 'where exports are prepared'}): make room, then push again"
    return f"it could not be prepared or recorded, and stays behind: {one_line(problem)}"


def push_hour(
    store: Store,
    destination: Destination,
    export: Export,
    hour: str,
    limits: Limits | None = None,
    again: bool = False,
    verify: bool = False,
) -> ExportReceipt | None:
    """Push one hour unless it is delivered already; return the receipt that holds then, None when there is nothing.

    Raises:
        ExportError: the hour was not delivered, and stays behind.
        BadDeclaration: the declaration does not fit the table.
    """
    limits = limits or Limits()
    with store.lock(f"export-{export.destination}-{export.table}") as lease:
        now = hour_of(store, export, hour)
        current = not now.why_behind(export, destination.identity)
        if not now.pushable or (not again and current and (not verify or _still_there(destination, now.receipt))):
            return now.receipt
        started = time.monotonic()
        with Workplace(store, "export") as work:
            reader, builds = _read(store, export, hour, now.builds, work.path / "rows", limits)
            lease.check()
            if not now.begun:
                _begin(store, export, hour, work.path / "begun")
            delivery = destination.push(export.table, Partition.of(hour), reader)
            receipt = _receipt(destination, export, hour, builds, reader, delivery, time.monotonic() - started)
            _publish(store, work, receipt, reader, delivery)
        return receipt


def _begin(store: Store, export: Export, hour: str, made: Path) -> None:
    """Note, durably, that the destination may hold other rows than the receipt says, until there is a new one."""
    made.write_bytes(b"")
    store.put(made, begun_key(export.destination, export.table, hour))


def _still_there(destination: Destination, receipt: ExportReceipt | None) -> bool:
    """Whether the destination still holds what a receipt says, as far as it can be asked."""
    if receipt is None:
        return True
    if altered_files(destination, receipt.digests):
        return False
    held = destination.read_back(receipt.table, Partition.of(receipt.hour))
    return held is None or (held.rows, held.checksum) == (receipt.held_rows, receipt.held_checksum)


def _read(
    store: Store, export: Export, hour: str, builds: Mapping[Slot, BuildReceipt], folder: Path, limits: Limits
) -> tuple[Reader, Mapping[Slot, BuildReceipt]]:
    """Return the rows and the builds they are of; an hour that is built anew meanwhile is read again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return read_rows(store, export, builds, folder, limits.memory_bytes, limits.threads), builds
        except RowsMoved:
            recover(store)  # of a change that is being applied, files may be there and receipts not yet
            now = hour_of(store, export, hour).builds
            if attempt == _ATTEMPTS or not now or now == builds:  # none: the hour has just expired, and stays there
                raise
            builds = now
    raise AssertionError("unreachable")


def _receipt(
    destination: Destination,
    export: Export,
    hour: str,
    builds: Mapping[Slot, BuildReceipt],
    reader: Reader,
    delivery: Delivery,
    seconds: float,
) -> ExportReceipt:
    refused = Counter(each.source for each in delivery.refused)
    return ExportReceipt(
        destination=export.destination,
        identity=destination.identity,
        table=export.table,
        held=str(export.held),
        hour=hour,
        declaration=export.fingerprint,
        made_of={slot.source: mark(each) for slot, each in builds.items()},
        counted=_with_refused(reader.counted, refused),
        rows=reader.rows - len(delivery.refused),
        checksum=reader.checksum - checksum_over(each.event_id for each in delivery.refused),
        held_rows=delivery.held.rows,
        held_checksum=delivery.held.checksum,
        proof=delivery.proof,
        bytes_before=reader.bytes_before,
        bytes_after=reader.bytes_after,
        bytes_pushed=delivery.bytes,
        sent=reader.rows if delivery.sent is None else delivery.sent,
        pushed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        refused=len(delivery.refused),
        refused_by_code=dict(Counter(each.code for each in delivery.refused)),
        left_behind=delivery.left_behind,
        remote=delivery.remote,
        notes=delivery.notes,
        digests=delivery.digests,
    )


def _with_refused(counted: Mapping[str, Counted], refused: Mapping[str, int]) -> dict[str, Counted]:
    return {name: msgspec.structs.replace(each, refused=refused.get(name, 0)) for name, each in counted.items()}


def _publish(store: Store, work: Workplace, receipt: ExportReceipt, reader: Reader, delivery: Delivery) -> None:
    """Write the receipt, and the rows that were refused, as one act; rows refused by an earlier push go.

    With the receipt ends what `_begin` noted.
    """
    key = paths.refused_file(receipt.destination, receipt.table, Partition.of(receipt.hour).hour)
    staged = work.path / "refused.parquet"
    if delivery.refused:
        _write_refused(reader, delivery.refused, staged)

    def plan() -> Change:
        moves = ((work.key_of(staged), key),) if delivery.refused else ()
        gone = () if delivery.refused or store.info(key) is None else (key,)
        deletes = (begun_key(receipt.destination, receipt.table, receipt.hour), *gone)
        return Change(moves=moves, deletes=deletes, receipts=tuple(with_exports(store, [receipt])))

    publish(store, plan)


def _write_refused(reader: Reader, refused: Sequence[Refusal], to: Path) -> None:
    """Write the refused rows: id, source, code, the destination's words, and the row as JSON."""
    table = pa.table(
        {
            EVENT_ID: [each.event_id for each in refused],
            "source": [each.source for each in refused],
            "code": [each.code for each in refused],
            "said": [each.said for each in refused],
        },
        schema=pa.schema([(name, pa.string()) for name in (EVENT_ID, "source", "code", "said")]),
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    with reader.connect() as con:
        con.register("refused", table)
        event = json_text(columns_of(con.sql("from exported")))
        con.execute(
            f"copy (select refused.*, event from refused left join (select {EVENT_ID}, {event} as event from exported)"
            f" using ({EVENT_ID})) to {literal(str(to))} (format parquet, compression zstd)"
        )
