"""Rows that leave the lake on the record: what their batch's receipt says afterwards.

What belongs here: receipts after an erasure or an expiry. What does not: which rows go, or removing them.

Samples go with the first row: a receipt keeps values of single records (the first that broke the contract in a way, one
of each unknown field), and nobody knows whether that record is the one that had to go.
"""

from collections.abc import Iterable

import msgspec

from lake.ledger.live_files import with_marks
from lake.ledger.receipts import Drift, FileMark, LandingReceipt, Removed, Violations

ERASED, EXPIRED = "erased", "expired"


def with_removed(
    receipt: LandingReceipt, room: str, left: Iterable[FileMark], removed: Iterable[Removed]
) -> LandingReceipt:
    """Return the receipt of a batch that keeps some files of a room, and lost some rows of it."""
    held = with_marks(receipt, room, left)
    told = tuple(each for each in removed if each.rows)
    if not told:
        return held
    return _counted(without_samples(held), (*held.removed, *told))


def _counted(receipt: LandingReceipt, removed: tuple[Removed, ...]) -> LandingReceipt:
    rows = {why: sum(each.rows for each in removed if each.why == why) for why in (ERASED, EXPIRED)}
    return msgspec.structs.replace(receipt, removed=removed, erased=rows[ERASED], expired=rows[EXPIRED])


def with_erased(receipt: LandingReceipt, removed: Iterable[Removed]) -> LandingReceipt:
    """Return the receipt of a landing that dropped records which a standing erasure asks for."""
    told = tuple(each for each in removed if each.rows)
    if not told:
        return receipt
    bare = without_samples(receipt)
    return _counted(bare, told) if receipt.status == "published" else bare


def without_samples(receipt: LandingReceipt) -> LandingReceipt:
    """Return the receipt without any value of a record."""
    return msgspec.structs.replace(
        receipt,
        violations=tuple(_without_values(each) for each in receipt.violations),
        drift=tuple(Drift(each.field, each.records, "") for each in receipt.drift),
    )


def _without_values(found: Violations) -> Violations:
    return msgspec.structs.replace(found, found="", sample="")
