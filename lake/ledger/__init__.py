"""The ledger: what each step left on record. This module has the receipts of landing; its neighbours have the others.

A landing leaves one file a batch. Its receipt is the small durable record of what became of every record that was read.

A checksum in a receipt is `<sum of contents>-<sum of origins>-<contract>-<landing version>`: the same rows have the
same sum, whatever their order, file or compression.

Rows leave on the record: erased on request, or expired. Samples go with the first row that leaves: a receipt keeps
values of single records, and nobody knows whether that record is the one that had to go.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from lake.base.errors import REPAIR, HeadwaterError
from lake.storage import paths
from lake.storage.store import Store

HOUR = "%Y-%m-%dT%H"
ERASED, EXPIRED = "erased", "expired"
_CONTENT = {paths.BRONZE: "_content_hash", paths.QUARANTINE: "hash(_raw)"}

Shape = TypeVar("Shape")


class BrokenReceipt(HeadwaterError, ValueError):
    """A receipt that cannot be read: no step of Headwater writes one, so it was changed by hand or by a disk."""


class FileMark(msgspec.Struct, frozen=True, gc=False):
    """One file that a step wrote: key, hour (`YYYY-MM-DDTHH`), rows, bytes, and a checksum over its rows.

    The checksum does not depend on the order of rows or on how they were compressed: the same rows give the same mark.
    A file that compaction made holds rows of several batches: each batch's mark has the rows and the checksum that are
    its own, and the bytes and `file_rows` of the whole file. `file_rows` is 0 where the file is the batch's own.
    `digest` is of the whole file's bytes; older receipts have none.
    """

    key: str
    hour: str
    rows: int
    bytes: int
    checksum: str
    file_rows: int = 0
    digest: str = ""

    @property
    def shared(self) -> bool:
        """Whether the file may hold rows of other batches."""
        return self.file_rows > 0


class Removed(msgspec.Struct, frozen=True, gc=False):
    """Rows of one hour of a batch that the lake no longer has: `erased` on request, or `expired` by the contract.

    `room` is `bronze` (event hour) or `quarantine` (arrival hour); `by` is the erasure's id, or the retention.
    """

    why: str
    room: str
    hour: str
    rows: int
    by: str


class ObjectMark(msgspec.Struct, frozen=True, gc=False):
    """One object that a batch read: name, bytes as stored, change mark, arrival (ISO, UTC) and what became of it."""

    name: str
    bytes: int
    fingerprint: str
    arrived_at: str
    read: int
    quarantined: int


class Violations(msgspec.Struct, frozen=True, gc=False):
    """How often one field broke the contract in one way, with the first value found."""

    reason: str
    field: str
    expected: str
    found: str
    records: int
    consequence: str
    sample: str = ""


class Drift(msgspec.Struct, frozen=True, gc=False):
    """A field that the contract does not know: how many records carry it, and one value."""

    field: str
    records: int
    sample: str


class Unseen(msgspec.Struct, frozen=True, gc=False):
    """Coverage records of one place: how many, the seconds they cover, and their first and last instant (ISO, UTC)."""

    place: str
    records: int
    seconds: int
    first: str = ""
    last: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Records of one status that are no events: nothing happened there (`idle`), or the vendor lost it (`lost`)."""

    status: str
    meaning: str  # idle | lost
    records: int
    seconds: int = 0
    first: str = ""
    last: str = ""
    places: tuple[Unseen, ...] = ()


class Swept(msgspec.Struct, frozen=True, gc=False):
    """An hour of an API that was asked for again: when (ISO, UTC), and how many records more it then had."""

    at: str
    added: int


class LandingReceipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    swept: tuple[Swept, ...] = ()

    @property
    def conserved(self) -> bool:
        """Whether every record read is in bronze or in quarantine, or was removed from there on the record."""
        kept = self.landed + self.quarantined + self.erased + self.expired
        return self.status == "published" and self.read == kept


def emptied_fields(receipt: LandingReceipt) -> list[Violations]:
    """Return the optional fields of another type than the contract says: NULL in bronze, their values in `_raw`."""
    return [each for each in receipt.violations if each.reason == "wrong_type" and each.consequence == "null"]


_landing = msgspec.json.Decoder(LandingReceipt)


def encode(receipt: msgspec.Struct) -> str:
    """Return the receipt as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(receipt), indent=1).decode()


def decoded(key: str, data: bytes, decoder: msgspec.json.Decoder[Shape]) -> Shape:
    """Return a receipt. Raises BrokenReceipt."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise broken(key, data, problem) from problem


def broken(key: str, data: bytes, problem: Exception) -> BrokenReceipt:
    """Return the error of a receipt that cannot be read, with what it holds instead of one."""
    why = "it is empty" if not data else "it holds only zeros" if not data.strip(b"\0") else str(problem)
    return BrokenReceipt(f"{key} cannot be read: {why}; {REPAIR}")


def decoded_all(
    files: Iterable[tuple[str, bytes]], decoder: msgspec.json.Decoder[Shape], unread: list[str] | None = None
) -> Iterator[Shape]:
    """Yield the receipts of some (key, bytes). What cannot be read goes to `unread`, a sentence each.

    Raises BrokenReceipt without `unread`.
    """
    for key, data in files:
        try:
            yield decoded(key, data, decoder)
        except BrokenReceipt as problem:
            if unread is None:
                raise
            unread.append(str(problem))


def digest(file: BinaryIO) -> str:
    """Return the first half of the SHA-256 of a file's bytes, in hex: 1.7 GB/s, so 0.6 ms for a file of 1 MB."""
    summed = hashlib.sha256()
    while block := file.read(1 << 20):
        summed.update(block)
    return summed.hexdigest()[:32]


def digest_of(path: Path | None) -> str:
    """Return the digest of a file of this machine that a step has staged; "" of none."""
    if path is None:
        return ""
    with path.open("rb") as file:
        return digest(file)


def is_intact(store: Store, mark: FileMark) -> bool:
    """Whether the file of a mark is there, with the size and the bytes that its receipt says."""
    info = store.info(mark.key)
    if info is None or info.size != mark.bytes or not mark.digest:
        return info is not None and info.size == mark.bytes
    with store.open(mark.key) as file:
        return digest(file) == mark.digest


def landing(store: Store, source: str, batch: str) -> LandingReceipt | None:
    """Return the receipt of one batch, or None when it never landed."""
    try:
        key = paths.landing_receipt(source, batch)
        return decoded(key, store.read(key), _landing)
    except FileNotFoundError:
        return None


def landings(store: Store, source: str | None = None, unread: list[str] | None = None) -> Iterator[LandingReceipt]:
    """Yield the receipts of all landed batches, of one source or of all; see `decoded_all` for `unread`."""
    prefix = f"{paths.LEDGER}/landing" + (f"/{paths.checked(source)}" if source else "")
    files = (found for found in store.read_all(prefix) if found[0].endswith(".json"))
    return decoded_all(files, _landing, unread)


def sources(store: Store) -> list[str]:
    """Return the names of the sources that ever landed anything, by their receipts or, if these are lost, by bronze."""
    held = {*store.folders(f"{paths.LEDGER}/landing"), *store.folders(paths.BRONZE)}
    return sorted(name for name in held if paths.NAME.match(name))


def arrival_hours(receipt: LandingReceipt) -> set[datetime]:
    """Return the arrival hours (naive UTC) of a batch: the hour that it is named after, else those of its objects."""
    named = paths.hour_named(receipt.batch)
    if named is not None:
        return {named}
    return {_arrival(each) for each in receipt.objects}


def objects_of_hour(receipt: LandingReceipt, at: datetime) -> list[ObjectMark]:
    """Return the objects of a batch that arrived in an hour (naive UTC)."""
    return [each for each in receipt.objects if _arrival(each) == at]


def _arrival(mark: ObjectMark) -> datetime:
    return paths.floor_hour(datetime.fromisoformat(mark.arrived_at))


def hour(text: str) -> datetime:
    """Return the hour (naive UTC) that a receipt's hour text names."""
    return datetime.strptime(text, HOUR)


def hour_text(at: datetime) -> str:
    """Return the hour text of receipts."""
    return at.strftime(HOUR)


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


def row_sums(room: str) -> str:
    """Return an aggregate (VARCHAR) over the rows of a bronze or quarantine file: contents, then objects and rows."""
    content, origin = f"sum({_CONTENT[room]}::hugeint)", "sum(hash(_source_object, _source_row)::hugeint)"
    return f"({content}::varchar || '-' || {origin}::varchar)"


def rows_checksum(summed: str, contract_fingerprint: str, landing_version: str) -> str:
    """Return the checksum of rows of one contract."""
    return f"{summed}-{contract_fingerprint[:12]}-{landing_version}"


def checksum_of_part(old: str, summed: str) -> str:
    """Return the checksum of some of the rows of a file that had the checksum `old`."""
    return "-".join([summed, *old.split("-")[2:]])


def content_sum(text: str) -> int:
    """Return the sum of contents of a checksum: it adds up over files, and no version of DuckDB changes it in bronze.

    Raises ValueError for what is no checksum.
    """
    return int(text.split("-", 1)[0])
