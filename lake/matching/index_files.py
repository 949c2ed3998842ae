"""The index files of tables: those that a build has staged, and those that go with a table's file.

What belongs here: which file belongs to which. What does not: what an index holds (`lake.matching.index`), publishing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from lake import ledger
from lake.ledger.receipts import BuildReceipt, IndexMark
from lake.matching.index import FOLDER, VERSION
from lake.storage import paths


@dataclass(frozen=True)
class StagedIndexes:
    """The indexes of a model's staged hours; without `made`, nobody has made any."""

    made: bool
    files: Mapping[str, Path]

    def file(self, hour: str) -> Path | None:
        """Return the index of an hour (`YYYY-MM-DDTHH`); None where its rows hold no observable."""
        return self.files.get(hour)

    def mark(self, hour: str) -> IndexMark | None:
        """Return what the receipt of an hour with rows says of its index; None where none was made."""
        path = self.files.get(hour)
        if path is None:
            return IndexMark(0, 0, VERSION) if self.made else None
        return mark_of(path)


def mark_of(path: Path) -> IndexMark:
    """Return what a receipt says of an index file."""
    return IndexMark(pq.read_metadata(path).num_rows, path.stat().st_size, VERSION)


def staged_indexes(folder: Path) -> StagedIndexes:
    """Return the indexes that lie in the folder of a model's staged partitions."""
    files = {
        ledger.hour_text(hour): path
        for path in sorted((folder / FOLDER).glob("date=*/hour=*/*.parquet"))
        if (hour := paths.hour_of(path.as_posix())) is not None
    }
    return StagedIndexes((folder / FOLDER).is_dir(), files)


def files_of(receipt: BuildReceipt) -> tuple[str, ...]:
    """Return the keys of what one build has in the lake: the file of its hour, and the index beside it."""
    if not receipt.file:
        return ()
    return (receipt.file, paths.index_file(receipt.file)) if receipt.file.startswith(paths.SILVER) else (receipt.file,)
