"""Pushing: the hours that are behind go to their destination, each with a receipt.

What belongs here: one hour of one table under its lock, from rows to receipt. What does not: a destination's ways.

Two pushes of one table at one destination wait for each other; the second finds the hour delivered. Killed anywhere,
the hour has no new receipt, so it is behind and is pushed again: destinations replace a partition whole.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from lake import paths
from lake.curated import Slot, mark, wanted
from lake.delivery.declaration import Export
from lake.delivery.destination import Delivery, Destination, Partition
from lake.delivery.receipts import Counted, ExportReceipt, exported_day, with_exports
from lake.delivery.refused import write_refused
from lake.delivery.rows import Reader, RowsMoved, read_rows
from lake.delivery.standing import builds_of, why_behind
from lake.publish import Change, Workplace, publish
from lake.receipts import BuildReceipt
from lake.store import Store

_ATTEMPTS = 3  # at reading rows whose hour is built anew meanwhile


@dataclass(frozen=True)
class Limits:
    """What one push may take of this machine."""

    memory_bytes: int = 1 << 30
    threads: int = 2


def push_hour(
    store: Store, destination: Destination, export: Export, hour: str, limits: Limits | None = None, again: bool = False
) -> ExportReceipt | None:
    """Push one hour unless it is delivered already; with `again` in any case. Return its receipt, None if nothing is.

    A receipt is also written when the destination holds other rows than were pushed: `ExportReceipt.mismatch` says so.

    Raises:
        ExportError: the hour was not delivered, and stays behind.
        BadDeclaration: the declaration does not fit the table.
    """
    limits = limits or Limits()
    with store.lock(f"export-{export.destination}-{export.table}") as lease, Workplace(store, "export") as work:
        builds: Mapping[Slot, BuildReceipt] = builds_of(wanted(store), export).get(hour, {})
        held = exported_day(store, export.destination, export.table, hour[:10]).get(hour)
        if not again and not why_behind(held, builds, export, destination.identity):
            return held
        if not builds:
            return held
        started = time.monotonic()
        reader, builds = _read(store, export, hour, builds, work.path / "rows", limits)
        lease.check()
        delivery = destination.push(export.table, Partition.of(hour), reader)
        receipt = _receipt(destination, export, hour, builds, reader, delivery, time.monotonic() - started)
        _publish(store, work, receipt, reader, delivery)
        return receipt


def _read(
    store: Store, export: Export, hour: str, builds: Mapping[Slot, BuildReceipt], folder: Path, limits: Limits
) -> tuple[Reader, Mapping[Slot, BuildReceipt]]:
    """Return the rows and the builds they are of; an hour that is built anew meanwhile is read again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return read_rows(store, export, builds, folder, limits.memory_bytes, limits.threads), builds
        except RowsMoved:
            now = builds_of(wanted(store), export).get(hour, {})
            if attempt == _ATTEMPTS or now == builds:
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
        hour=hour,
        declaration=export.fingerprint,
        made_of={slot.source: mark(each) for slot, each in builds.items()},
        counted=_with_refused(reader.counted, refused),
        rows=reader.rows - len(delivery.refused),
        checksum=reader.checksum - sum(checksum_of(each.event_id) for each in delivery.refused),
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
        remote=delivery.remote,
        notes=delivery.notes,
    )


def checksum_of(event_id: str) -> int:
    """Return what one row adds to a checksum over event ids."""
    return int(hashlib.md5(event_id.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def checksum_over(event_ids: Iterable[str]) -> int:
    """Return the checksum over event ids."""
    return sum(map(checksum_of, event_ids))


def _with_refused(counted: Mapping[str, Counted], refused: Mapping[str, int]) -> dict[str, Counted]:
    return {name: msgspec.structs.replace(each, refused=refused.get(name, 0)) for name, each in counted.items()}


def _publish(store: Store, work: Workplace, receipt: ExportReceipt, reader: Reader, delivery: Delivery) -> None:
    """Write the receipt, and the rows that were refused, as one act; rows refused by an earlier push go."""
    key = paths.refused_file(receipt.destination, receipt.table, Partition.of(receipt.hour).hour)
    staged = work.path / "refused.parquet"
    if delivery.refused:
        write_refused(reader, delivery.refused, staged)

    def plan() -> Change:
        moves = ((work.key_of(staged), key),) if delivery.refused else ()
        deletes = () if delivery.refused or store.info(key) is None else (key,)
        return Change(moves=moves, deletes=deletes, receipts=tuple(with_exports(store, [receipt])))

    publish(store, plan)
