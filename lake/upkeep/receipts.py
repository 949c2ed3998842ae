"""Receipts of what rewrites landed rows: compaction and erasure."""

import msgspec


class Merged(msgspec.Struct, frozen=True):
    """What compaction took from one file for one batch: rows and their checksum, which the batch's receipt keeps."""

    batch: str
    key: str
    rows: int
    checksum: str


class CompactionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one compaction did: many files of an hour became one, of the same rows.

    `rows_checksum` is the sum over all columns of all rows, computed from the files before and from the file made;
    `left_behind` are rows that no receipt counted any more. `bytes_before` is the size of all `files_before` files.
    """

    source: str
    room: str
    hour: str
    file: str
    rows: int
    left_behind: int
    files_before: int
    bytes_before: int
    bytes_after: int
    rows_checksum_before: str
    rows_checksum_after: str
    members: tuple[Merged, ...]
    compacted_at: str


class ErasedFile(msgspec.Struct, frozen=True):
    """One file that an erasure rewrote or removed: rows that went and rows that stayed, checksums before and after.

    Rows and checksums are of the rows that counted; `dead` are matching rows that no receipt counted any more.
    """

    key: str
    room: str
    hour: str
    erased: int
    left: int
    dead: int
    checksum_before: str
    checksum_after: str


class ErasureReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one erasure did. It holds no record and, unless that was asked for, not the condition.

    `condition_hash` is the SHA-256 of a secret and the condition, which both stand in `erasures/` while the erasure
    stands. `proof` counts what was found afterwards: each count but `untouched_files` must be 0.
    """

    source: str
    erasure: str
    status: str  # begun | done
    reason: str
    asked_by: str
    asked_at: str
    condition_hash: str
    condition: str = ""
    first: str = ""
    last: str = ""
    standing: bool = True
    files: tuple[ErasedFile, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    proof: dict[str, int] = {}
    done_at: str = ""

    @property
    def erased(self) -> int:
        """Return how many rows that counted went."""
        return sum(file.erased for file in self.files)
