"""Delivered: how many published events stand at each destination, for the balance sheet.

What belongs here: adding up export receipts by source and event hour. What does not: the sheet (`lake.ledger.balance`).

An event that two exports of one table bring to one destination is counted once; one that went up in the row of its
minute is counted, one that was filtered, reduced away or refused is not. Receipts of pushes that do not match count
for nothing. Gold is made of published events, and counts for nothing either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lake.ledger import BrokenReceipt
from lake.ledger.export_receipts import exported, exporting
from lake.storage import paths
from lake.storage.store import Store


@dataclass(frozen=True)
class Deliveries:
    """Published events at destinations, (source, hour text) → destination → events; and a line for each thing wrong.

    Wrong is an hour whose destination holds other rows than were pushed, and a receipt that cannot be read.
    """

    events: Mapping[tuple[str, str], Mapping[str, int]]
    wrong: tuple[str, ...] = field(default=())


def deliveries(store: Store) -> Deliveries:
    """Return what stands at destinations, by their receipts."""
    by_table: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    wrong = []
    for destination, table in exporting(store):
        try:
            receipts = exported(store, destination, table)
        except BrokenReceipt as problem:
            wrong.append(f"{destination}/{table}: {problem}")
            continue
        for hour, receipt in sorted(receipts.items()):
            if not receipt.matches:
                wrong.append(f"{destination}/{table} {hour}: {receipt.mismatch}")
            elif receipt.held.startswith(f"{paths.SILVER}/"):
                for source, counted in receipt.counted.items():
                    held = by_table.setdefault((source, hour), {})
                    place = (destination, receipt.held)
                    held[place] = max(held.get(place, 0), counted.accounted)
    return Deliveries({at: _by_destination(held) for at, held in by_table.items()}, tuple(wrong))


def _by_destination(held: Mapping[tuple[str, str], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (destination, _), events in sorted(held.items()):
        found[destination] = found.get(destination, 0) + events
    return found
