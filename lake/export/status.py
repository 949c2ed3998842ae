"""How deliveries stand: which hours of which table are behind at which destination, since when, and what is wrong.

What belongs here: a table's hours together. What does not: why one is behind (`hours`), or pushing. Nothing has to
remember what to push: it follows from receipts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lake.export.declaration import Export
from lake.export.hours import AGAIN, Wanted, hours_of
from lake.ledger.export_receipts import begun, exported
from lake.storage.store import Store


@dataclass(frozen=True)
class Behind:
    """One hour to push: why, and since when (ISO, UTC) the lake has had what is missing."""

    hour: str
    why: str
    since: str
    rows: int


@dataclass(frozen=True)
class Standing:
    """One table at one destination: the hours that it has, the rows in them, and those that are behind."""

    export: Export
    hours: int = 0
    rows: int = 0
    refused: int = 0
    behind: tuple[Behind, ...] = ()
    mismatches: tuple[tuple[str, str], ...] = ()


def standing(store: Store, wanted: Wanted, export: Export, identity: str, again: bool = False) -> Standing:
    """Return how one table stands at the destination with an identity; with `again`, all its hours are behind.

    Raises:
        BrokenReceipt: a receipt of the table cannot be read.
    """
    receipts = exported(store, export.destination, export.table)
    hours = hours_of(store, wanted, export, receipts, begun(store, export.destination, export.table))
    behind, mismatches, rows, refused = [], [], 0, 0
    for text, hour in sorted(hours.items()):
        if why := hour.why_behind(export, identity) or (AGAIN if again and hour.builds else ""):
            behind.append(Behind(text, why, hour.since(why), sum(each.rows for each in hour.builds.values())))
        if hour.receipt is not None:
            rows, refused = rows + hour.receipt.held_rows, refused + hour.receipt.refused
            if told := hour.receipt.mismatch:
                mismatches.append((text, told))
    return Standing(export, len(receipts), rows, refused, tuple(behind), tuple(mismatches))


def in_range(behind: Iterable[Behind], first: str | None, last: str | None) -> list[Behind]:
    """Return what is behind of the hours from `first` to `last`, both included."""
    return [each for each in behind if (first is None or each.hour >= first) and (last is None or each.hour <= last)]
