"""What a lake holds of the files that receipts name, asked for together.

What belongs here: looking at many files at once, which in a bucket is a listing and not a request for each. What does
not: what it means that one has gone (`lake.ledger.staleness`, `lake.ledger.balance`).
"""

from collections.abc import Iterable
from typing import Protocol

from lake.storage.store import ObjectInfo, Store


class Known(Protocol):
    """Whoever knows of single objects: a store, or an inventory of one."""

    def info(self, key: str) -> ObjectInfo | None:
        """Return what is known of one object, or None when it is not there."""
        ...


class Inventory:
    """What a store held of some files, at the moment it was made."""

    def __init__(self, store: Store, keys: Iterable[str]) -> None:
        self._held = store.infos(keys)

    def info(self, key: str) -> ObjectInfo | None:
        """Return what is known of one of the files. Raises KeyError for one that was not asked for."""
        return self._held[key]
