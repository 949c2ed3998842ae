"""Files that no receipt names any more, after compaction replaced them or every batch in them landed anew."""

from collections.abc import Iterable, Iterator

import msgspec

from lake import ledger
from lake.ledger import LandingReceipt
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import Store
from lake.upkeep.receipts import CompactionReceipt

ROOMS = (paths.BRONZE, paths.QUARANTINE)


def remove_orphans(store: Store, source: str) -> list[str]:
    """Remove the files that compaction made or replaced and that no receipt names; return their keys."""
    listed = [each.key for room in ROOMS for each in store.list(f"{room}/{paths.checked(source)}")]
    gone: list[str] = []

    def plan() -> Change:
        nonlocal gone
        landed = list(ledger.landings(store, source))
        unnamed = set(listed) - _named(landed)
        if not unnamed:
            return Change()
        batches = {receipt.batch for receipt in landed}
        # A batch without a receipt has not landed anew: its receipt is lost, and the file may be all there is of it.
        replaced = [
            receipt for receipt in compactions(store, source) if batches >= {each.batch for each in receipt.members}
        ]
        gone = sorted(unnamed & {key for each in replaced for key in (each.file, *(of.key for of in each.members))})
        return Change(deletes=tuple(gone))

    if set(listed) - _named(ledger.landings(store, source)):
        publish(store, plan)
    return gone


_compaction = msgspec.json.Decoder(CompactionReceipt)


def compactions(store: Store, source: str) -> Iterator[CompactionReceipt]:
    """Yield the receipts of all compactions of a source."""
    for room in ROOMS:
        for key, data in store.read_all(f"{paths.LEDGER}/compaction/{room}/{paths.checked(source)}"):
            yield ledger.decoded(key, data, _compaction)


def _named(receipts: Iterable[LandingReceipt]) -> set[str]:
    return {mark.key for receipt in receipts for mark in (*receipt.files, *receipt.quarantine_files)}
