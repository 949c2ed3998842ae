"""Files that no receipt names any more, after compaction replaced them or every batch in them landed anew."""

from collections.abc import Iterable, Iterator

import msgspec

from lake import ledger
from lake.ledger import LandingReceipt
from lake.ledger.live_files import COMPACTED
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
        unnamed = set(listed) - _named(ledger.landings(store, source))
        own = {key for key in unnamed if not _is_compacted(key)}
        if own:
            own &= {member.key for receipt in compactions(store, source) for member in receipt.members}
        gone = sorted(own | {key for key in unnamed if _is_compacted(key)})
        return Change(deletes=tuple(gone))

    if set(listed) - _named(ledger.landings(store, source)):
        publish(store, plan)
    return gone


def compactions(store: Store, source: str) -> Iterator[CompactionReceipt]:
    """Yield the receipts of all compactions of a source."""
    for room in ROOMS:
        for _, data in store.read_all(f"{paths.LEDGER}/compaction/{room}/{paths.checked(source)}"):
            yield msgspec.json.decode(data, type=CompactionReceipt)


def _named(receipts: Iterable[LandingReceipt]) -> set[str]:
    return {mark.key for receipt in receipts for mark in (*receipt.files, *receipt.quarantine_files)}


def _is_compacted(key: str) -> bool:
    return key.rsplit("/", 1)[-1].startswith(COMPACTED)
