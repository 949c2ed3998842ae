"""What bronze and quarantine hold now: the files that receipts name, whose rows in them count, and rows that left.

A batch's own file counts whole. A file that compaction made holds rows of several batches, and a batch's rows in it
count as long as the batch's receipt names the file: a batch that landed anew has files of its own instead.

Rows leave on the record: erased on request, or expired. Samples go with the first row that leaves: a receipt keeps
values of single records, and nobody knows whether that record is the one that had to go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from lake.ledger.receipts import Drift, FileMark, LandingReceipt, Removed, Violations
from lake.storage import paths
from lake.storage.paths import Address
from lake.storage.store import Store

ERASED, EXPIRED = "erased", "expired"
COMPACTED = "compacted-"  # what the name of a file of several batches begins with


@dataclass(frozen=True)
class LiveFile:
    """One file with the marks of the batches whose rows in it count."""

    key: str
    marks: tuple[tuple[str, FileMark], ...]  # batch, mark

    @property
    def hour(self) -> str:
        """Return the hour the file is filed under, `YYYY-MM-DDTHH`."""
        return self.marks[0][1].hour

    @property
    def rows(self) -> int:
        """Return how many rows count."""
        return sum(mark.rows for _, mark in self.marks)

    @property
    def bytes(self) -> int:
        """Return the file's size."""
        return self.marks[0][1].bytes

    @property
    def whole(self) -> bool:
        """Whether all rows of the file count."""
        return self.rows == (self.marks[0][1].file_rows or self.rows)

    @property
    def batches(self) -> tuple[str, ...]:
        """Return the batches whose rows count."""
        return tuple(sorted({batch for batch, _ in self.marks}))

    def address(self, store: Store) -> Address:
        """Return where and what to read: see `lake.storage.duck.typed_select`."""
        return store.url(self.key) if self.whole else (store.url(self.key), self.batches)


def marks_of(receipt: LandingReceipt, room: str) -> tuple[FileMark, ...]:
    """Return the files of a batch in `bronze` or `quarantine`."""
    return receipt.files if room == paths.BRONZE else receipt.quarantine_files


def with_marks(receipt: LandingReceipt, room: str, marks: Iterable[FileMark]) -> LandingReceipt:
    """Return the receipt with other files in a room, and the rows of these counted."""
    held = tuple(sorted(marks, key=lambda mark: (mark.hour, mark.key)))
    rows = sum(mark.rows for mark in held)
    if room == paths.BRONZE:
        return msgspec.structs.replace(receipt, files=held, landed=rows)
    return msgspec.structs.replace(receipt, quarantine_files=held, quarantined=rows)


def live_files(receipts: Iterable[LandingReceipt], room: str = paths.BRONZE) -> list[LiveFile]:
    """Return the files that receipts name in a room, in key order."""
    marks: dict[str, list[tuple[str, FileMark]]] = {}
    for receipt in receipts:
        for mark in marks_of(receipt, room):
            marks.setdefault(mark.key, []).append((receipt.batch, mark))
    return [LiveFile(key, tuple(found)) for key, found in sorted(marks.items())]


def by_hour(files: Iterable[LiveFile]) -> dict[str, list[LiveFile]]:
    """Return files by their hour, in order."""
    hours: dict[str, list[LiveFile]] = {}
    for file in files:
        hours.setdefault(file.hour, []).append(file)
    return dict(sorted(hours.items()))


def addresses(store: Store, files: Sequence[LiveFile]) -> list[Address]:
    """Return what to read of some files."""
    return [file.address(store) for file in files]


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
