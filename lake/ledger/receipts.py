"""Receipts: the small durable records of what one step did to one partition."""

import hashlib

import msgspec


class FileMark(msgspec.Struct, frozen=True):
    """One file that a step wrote: key, hour (`YYYY-MM-DDTHH`), rows, bytes, and a checksum over its rows.

    The checksum does not depend on the order of rows or on how they were compressed: the same rows give the same mark.
    A file that compaction made holds rows of several batches: each batch's mark has the rows and the checksum that are
    its own, and the bytes and `file_rows` of the whole file. `file_rows` is 0 where the file is the batch's own.
    """

    key: str
    hour: str
    rows: int
    bytes: int
    checksum: str
    file_rows: int = 0

    @property
    def shared(self) -> bool:
        """Whether the file may hold rows of other batches."""
        return self.file_rows > 0


class Removed(msgspec.Struct, frozen=True):
    """Rows of one hour of a batch that the lake no longer has: `erased` on request, or `expired` by the contract.

    `room` is `bronze` (event hour) or `quarantine` (arrival hour); `by` is the erasure's id, or the retention.
    """

    why: str
    room: str
    hour: str
    rows: int
    by: str


class ObjectMark(msgspec.Struct, frozen=True):
    """One object that a batch read: name, bytes as stored, change mark, arrival (ISO, UTC) and what became of it."""

    name: str
    bytes: int
    fingerprint: str
    arrived_at: str
    read: int
    quarantined: int


class Violations(msgspec.Struct, frozen=True):
    """How often one field broke the contract in one way, with the first value found."""

    reason: str
    field: str
    expected: str
    found: str
    records: int
    consequence: str
    sample: str = ""


class Drift(msgspec.Struct, frozen=True):
    """A field that the contract does not know: how many records carry it, and one value."""

    field: str
    records: int
    sample: str


class Unseen(msgspec.Struct, frozen=True):
    """Coverage records of one place: how many, the seconds they cover, and their first and last instant (ISO, UTC)."""

    place: str
    records: int
    seconds: int
    first: str = ""
    last: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one status that are no events: nothing happened there (`idle`), or the vendor lost it (`lost`)."""

    status: str
    meaning: str  # idle | lost
    records: int
    seconds: int = 0
    first: str = ""
    last: str = ""
    places: tuple[Unseen, ...] = ()


class LandingReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What landing one batch did, and what became of it. Conserved when read = landed + quarantined + erased + expired.

    `landed` and `quarantined` are rows that the lake has; `removed` tells of those that went later. Records of
    `coverage` are no events: they came besides those `read`, and landed nowhere. `unreadable` are (name, why) of
    objects that were there and could not be read: the batch is without them until it, or another batch, holds them.
    """

    source: str
    batch: str
    status: str  # published | stalled
    read: int
    landed: int
    quarantined: int
    quarantined_by_reason: dict[str, int]
    first_landed_at: str
    landed_at: str
    bytes_read: int
    bytes_decoded: int
    lateness_seconds: dict[str, float]  # p50, p99, max: arrival minus event time
    contract_version: str
    contract_fingerprint: str
    files: tuple[FileMark, ...] = ()
    quarantine_files: tuple[FileMark, ...] = ()
    violations: tuple[Violations, ...] = ()
    drift: tuple[Drift, ...] = ()
    objects: tuple[ObjectMark, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    erased: int = 0
    expired: int = 0
    removed: tuple[Removed, ...] = ()
    seconds: float = 0.0
    coverage: tuple[Coverage, ...] = ()

    @property
    def conserved(self) -> bool:
        """Whether every record read is in bronze or in quarantine, or was removed from there on the record."""
        kept = self.landed + self.quarantined + self.erased + self.expired
        return self.status == "published" and self.read == kept


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


class IndexMark(msgspec.Struct, frozen=True):
    """The index of observables beside one file of a table: its rows and bytes, and which version of the index it is."""

    rows: int
    bytes: int
    version: str


class SameRows(msgspec.Struct, frozen=True, gc=False):
    """The marks of an earlier build of an hour that made the same rows: of the rows, and of the build."""

    rows: str
    build: str


class BuildReceipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # without gc a ledger of years reads 3x faster
    """What building one model for one event hour did. `expired_at` is set once its rows went with their hour's age."""

    model: str
    source: str
    table: str
    hour: str
    rows: int
    bytes: int
    inputs: tuple[tuple[str, str], ...]  # bronze key, checksum
    mapping: str  # checksum of the SQL that made it
    built_at: str
    file: str = ""  # key, empty when the hour has no rows
    counts: dict[str, int] = {}
    invalid: dict[str, int] = {}
    samples: dict[str, str] = {}
    context: dict[str, str] = {}
    expired_at: str = ""
    index: IndexMark | None = None  # None: the file has none
    content: str = ""  # digest of what readers of the rows depend on, where that is less than all of them
    same: SameRows | None = None  # the rows are those that an earlier build made, which readers may have read

    @property
    def rows_mark(self) -> str:
        """Return what tells the rows of this hour apart from others; hours without rows are all alike.

        Two builds of the same inputs by the same mapping and context are alike, and so is a build that made the rows
        of an earlier one. The mark outlives the rows.
        """
        if self.content or not self.rows:
            return self.content
        if self.same:
            return self.same.rows
        made_of = sorted(checksum for _, checksum in self.inputs)
        waits = sorted((name, number) for name, number in self.counts.items() if name.startswith("pending:"))
        # What lookup providers have answered since changes rows only where events wait for it.
        context = sorted((name, version) for name, version in self.context.items() if not name.startswith("lookups:"))
        parts = (made_of, self.mapping, context, waits, self.rows)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def encode(receipt: LandingReceipt | CompactionReceipt | ErasureReceipt) -> str:
    """Return the receipt as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(receipt), indent=1).decode()
