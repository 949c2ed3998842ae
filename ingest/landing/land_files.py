"""Landing files of any age: which of them make a batch, and which have landed already.

What belongs here: the rule that every object is read once. What does not: reading objects (`land`).

A set of objects is a batch; its name is a hash of their names, so the same call again is the same batch. Objects that
an earlier batch holds unchanged, under the same contract, are not read again: their batch's receipt is the answer.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ingest.contracts import Contract
from ingest.landing.failures import NoneReadable
from ingest.landing.land import land
from ingest.landing.write import LandingSettings
from ingest.objects import RawObject
from lake import ledger
from lake.ledger.receipts import LandingReceipt
from lake.storage.store import Store

BATCH_BYTES = 4 << 30  # as stored; a longer history becomes several batches, so that a crash costs one of them


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
    held = {receipt.batch: receipt for receipt in ledger.landings(store, contract.source)}
    owners = _owners(held.values(), contract)
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
        landed.append(Landed(held[batch], unchanged=True, objects=frozenset(names)))
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
