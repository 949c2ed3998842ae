"""What bronze and quarantine hold now: the files that receipts name, and whose rows in them count.

A batch's own file counts whole. A file that compaction made holds rows of several batches, and a batch's rows in it
count as long as the batch's receipt names the file: a batch that landed anew has files of its own instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lake.ledger import FileMark, LandingReceipt, marks_of
from lake.storage import paths
from lake.storage.paths import Address
from lake.storage.store import Store

COMPACTED = "compacted-"  # what the name of a file of several batches begins with


def batch_of(key: str) -> set[str] | None:
    """Return the names that the batch of a file may have, by the file's name; None of a file of several batches."""
    name = key.rsplit("/", 1)[-1].removesuffix(".parquet")
    if name.startswith(COMPACTED):
        return None
    batch, _, number = name.rpartition("-")  # a batch with several files in an hour numbers them
    return {name, batch} if batch and number.isdigit() else {name}


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
