"""Delivered: how many published events stand at each destination, for the balance sheet.

What belongs here: adding up export receipts by source and event hour. What does not: the sheet (`lake.balance`).

An event that two exports of one table bring to one destination is counted once; one that went up in the row of its
minute is counted, one that was filtered, reduced away or refused is not. Receipts of pushes that do not match count
for nothing.
"""

from collections.abc import Mapping

from lake.delivery.receipts import exported, exporting
from lake.store import Store

Delivered = Mapping[tuple[str, str], Mapping[str, int]]  # (source, hour text) → destination → events


def delivered(store: Store) -> Delivered:
    """Return the events that destinations have, by source and event hour."""
    by_table: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for destination, table in exporting(store):
        for hour, receipt in exported(store, destination, table).items():
            for source, counted in receipt.counted.items() if receipt.matches else ():
                held = by_table.setdefault((source, hour), {})
                place = (destination, receipt.held)
                held[place] = max(held.get(place, 0), counted.accounted)
    return {at: _by_destination(held) for at, held in by_table.items()}


def mismatches(store: Store) -> list[str]:
    """Return a line for every hour whose destination holds other rows than were pushed."""
    return [
        f"{destination}/{table} {hour}: {receipt.mismatch}"
        for destination, table in exporting(store)
        for hour, receipt in sorted(exported(store, destination, table).items())
        if receipt.mismatch
    ]


def _by_destination(held: Mapping[tuple[str, str], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (destination, _), events in sorted(held.items()):
        found[destination] = found.get(destination, 0) + events
    return found
