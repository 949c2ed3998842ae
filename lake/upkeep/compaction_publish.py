"""Publishing merged files: the receipts of their batches name them instead of the files they were made of.

What belongs here: which receipts change and how. What does not: merging (`lake.upkeep.merging`), removing the old files
(`lake.upkeep.orphan_files`), which no receipt names afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from lake import ledger
from lake.ledger.live_files import HeldFile, marks_of, with_marks
from lake.ledger.receipts import CompactionReceipt, FileMark, LandingReceipt, encode
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import Store

Receipts = dict[tuple[str, str], LandingReceipt]  # by source and batch


@dataclass(frozen=True)
class Merge:
    """One merged file that is staged: its receipt, what it is made of, and where it lies."""

    receipt: CompactionReceipt
    files: tuple[HeldFile, ...]
    staged: str

    @property
    def owners(self) -> set[tuple[str, str]]:
        """Return source and batch of the receipts that are to name the merged file."""
        return {(self.receipt.source, batch) for file in self.files for batch in file.batches}

    def holds_in(self, held: Receipts) -> bool:
        """Whether every batch's receipt still names the rows that were merged."""
        room, source = self.receipt.room, self.receipt.source
        return all(
            (source, batch) in held and mark in marks_of(held[source, batch], room)
            for file in self.files
            for batch, mark in file.marks
        )

    def named_by(self, receipt: LandingReceipt) -> LandingReceipt:
        """Return a member's receipt with the merged file in the place of those it is made of."""
        made, gone = self.receipt, {file.key for file in self.files}
        marks = (
            FileMark(made.file, mark.hour, mark.rows, made.bytes_after, mark.checksum, made.rows)
            if mark.key in gone
            else mark
            for mark in marks_of(receipt, made.room)
        )
        return with_marks(receipt, made.room, marks)


def publish_merges(store: Store, merges: Sequence[Merge]) -> list[Merge]:
    """Publish merged files and return those that were: not the ones whose members have changed meanwhile."""
    valid: list[Merge] = []

    def plan() -> Change:
        nonlocal valid
        held = dict(_receipts(store, merges))
        valid = [each for each in merges if each.holds_in(held)]
        for each in valid:
            held |= {owner: each.named_by(held[owner]) for owner in each.owners}
        changed = sorted({owner for each in valid for owner in each.owners})
        written = [(paths.landing_receipt(*owner), encode(held[owner])) for owner in changed]
        written += [(paths.compaction_receipt(each.receipt.file), _text(each.receipt)) for each in valid]
        return Change(moves=tuple((each.staged, each.receipt.file) for each in valid), receipts=tuple(written))

    if merges:
        publish(store, plan)
    return valid


def _receipts(store: Store, merges: Sequence[Merge]) -> Iterator[tuple[tuple[str, str], LandingReceipt]]:
    for owner in sorted({owner for each in merges for owner in each.owners}):
        if receipt := ledger.landing(store, *owner):
            yield owner, receipt


def _text(receipt: CompactionReceipt) -> str:
    return msgspec.json.format(msgspec.json.encode(receipt), indent=1).decode()
