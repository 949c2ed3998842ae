"""Batches: which objects make one, how they are named, and which of them hold which objects.

A batch of an hour holds what arrived in that hour; one that a queue announced holds what arrived before it was made,
and its name tells when that was; one of files, which somebody landed by hand, may hold anything. Its name is a hash of
the files' names, so the same call again is the same batch. Objects that an earlier batch holds unchanged, under the
same contract, are not read again.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.contracts import Contract
from ingest.landing.errors import NoneReadable
from ingest.landing.land import land
from ingest.landing.write import LandingSettings
from ingest.objects import RawObject
from lake import ledger
from lake.ledger.receipts import LandingReceipt
from lake.storage import paths
from lake.storage.store import Store

BATCH_BYTES = 4 << 30  # as stored; a longer history becomes several batches, so that a crash costs one of them
HOUR_BATCH = re.compile(r"\d{8}T\d{2}\Z")
_QUEUE_BATCH = re.compile(r"queue-(\d{8}T\d{2})\d{4}-[0-9a-f]{12}\Z")
_HOUR = timedelta(hours=1)  # by which clocks may differ

Mark = tuple[str, str]  # an object's name and fingerprint


def queue_batch_name(made_at: datetime, digest: str) -> str:
    """Return the name of a batch of announced objects; `digest` (hex) is of what it holds."""
    return f"queue-{made_at.astimezone(UTC):%Y%m%dT%H%M%S}-{digest[:12]}"


def is_queue_batch(batch: str) -> bool:
    """Return whether a batch holds objects that a queue announced."""
    return _QUEUE_BATCH.match(batch) is not None


def batches(store: Store, source: str) -> list[str]:
    """Return the names of all batches of a source."""
    folder = f"{paths.LEDGER}/landing/{source}"
    return [
        entry.key.rsplit("/", 1)[-1].removesuffix(".json")
        for entry in store.list(folder)
        if entry.key.endswith(".json")
    ]


def receipts_since(store: Store, source: str, arrived: datetime, *, hours: bool = True) -> Iterator[LandingReceipt]:
    """Yield the receipts that can hold objects which arrived at an hour (naive UTC) or later.

    Batches of hours are left out when `hours` is false.
    """
    for batch in batches(store, source):
        made = _QUEUE_BATCH.match(batch)
        hour = batch if HOUR_BATCH.match(batch) else made[1] if made else None
        if hour == batch and not hours:
            continue
        if hour is None or datetime.strptime(hour, "%Y%m%dT%H") >= arrived - _HOUR:
            receipt = ledger.landing(store, source, batch)
            if receipt is not None:
                yield receipt


def marks(receipt: LandingReceipt) -> set[Mark]:
    """Return the objects that a batch holds."""
    return {(mark.name, mark.fingerprint) for mark in receipt.objects}


@dataclass(frozen=True)
class Landed:
    """One batch that a call landed, or found landed (`unchanged`)."""

    receipt: LandingReceipt
    unchanged: bool
    objects: frozenset[str]  # those of the batch's objects that the call asked for

    def counted(self) -> dict[str, int]:
        """Return read, landed and quarantined of the objects that were asked for."""
        marks = [mark for mark in self.receipt.objects if mark.name in self.objects]
        if self.receipt.status != "published" or len(marks) == len(self.receipt.objects):
            whole = self.receipt
            return {"read": whole.read, "landed": whole.landed, "quarantined": whole.quarantined}
        read, quarantined = sum(mark.read for mark in marks), sum(mark.quarantined for mark in marks)
        return {"read": read, "landed": read - quarantined, "quarantined": quarantined}


def land_files(
    contract: Contract,
    objects: Sequence[RawObject],
    store: Store,
    settings: LandingSettings | None = None,
    ignored: Sequence[tuple[str, str]] = (),
    progress: Callable[[int], None] | None = None,
    again: bool = False,
) -> list[Landed]:
    """Land files and return the batches that now hold them.

    Raises:
        NoneReadable: no object of a batch can be read; all other batches are landed.
        LandingError: a batch could not be landed; batches before it are landed and have their receipts.
    """
    receipts = {receipt.batch: receipt for receipt in ledger.landings(store, contract.source)}
    owners = _owners(receipts.values(), contract)
    landed: list[Landed] = []
    fresh: list[RawObject] = []
    kept: dict[str, set[str]] = {}
    for each in objects:
        owner = owners.get((each.name, each.fingerprint))
        if owner is None or again:
            fresh.append(each)
        else:
            kept.setdefault(owner, set()).add(each.name)
    for batch, names in sorted(kept.items()):
        landed.append(Landed(receipts[batch], unchanged=True, objects=frozenset(names)))
    unread: list[NoneReadable] = []
    for group in groups_of(fresh):
        try:
            receipt = land(contract, group, store, batch_name(group), settings, ignored, progress)
        except NoneReadable as problem:
            unread.append(problem)
            continue
        landed.append(Landed(receipt, unchanged=False, objects=frozenset(each.name for each in group)))
    if unread:
        raise unread[0]
    return landed


def batch_name(objects: Iterable[RawObject]) -> str:
    """Return the name of the batch that these objects make, whatever their order."""
    names = "\n".join(sorted(each.name for each in objects))
    return f"files-{hashlib.sha256(names.encode()).hexdigest()[:16]}"


def _owners(receipts: Iterable[LandingReceipt], contract: Contract) -> dict[tuple[str, str], str]:
    """Which batch holds an object, by name and change mark, under the contract as it is now."""
    return {
        (mark.name, mark.fingerprint): receipt.batch
        for receipt in receipts
        if receipt.status == "published" and receipt.contract_fingerprint == contract.fingerprint
        for mark in receipt.objects
    }


def groups_of(objects: Iterable[RawObject]) -> list[list[RawObject]]:
    """Return objects in name order, in groups of no more than a batch should hold."""
    groups: list[list[RawObject]] = []
    size = 0
    for each in sorted(objects, key=lambda found: found.name):
        if not groups or size + each.size > BATCH_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(each)
        size += each.size
    return groups
