"""Compaction: many small files of one source and hour become one, and no row changes.

The merge and its proof are `lake.upkeep.merging`'s, which rows of a file count `lake.ledger.live_files`'.

The receipts of the member batches name the merged file afterwards, each with its own rows and their own checksum; so
what a batch landed stays known, and nothing becomes stale. Receipts change first and the old files go after that, as
acts of their own: who reads in between has either. A batch that lands anew leaves dead rows in a merged file, which
nobody reads and the next compaction of the hour leaves behind.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec

from lake import ledger
from lake.base.errors import REPAIR, tell_omission
from lake.ledger import FileMark, LandingReceipt, encode, marks_of, with_marks
from lake.ledger.live_files import COMPACTED, LiveFile, by_hour, live_files
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store
from lake.upkeep.merging import Resources, RowsChanged, merge, mergeable
from lake.upkeep.orphan_files import ROOMS, remove_orphans
from lake.upkeep.receipts import CompactionReceipt, Merged

_UNIT_BYTES, _UNIT_HOURS = 2 << 30, 24  # what is published at once: a crash costs so much work, scratch holds so much
_MOST_BYTES = 1 << 30  # of one merged file, about
_LATE = "a batch landed meanwhile; the next compaction looks again"

Receipts = dict[tuple[str, str], LandingReceipt]  # by source and batch


@dataclass(frozen=True)
class Policy:
    """When an hour's files are merged.

    An hour rests for `settle` after its end, for late files come. Then it is due when it has dead rows, more than
    `most_files` files, or several of no more than `small_bytes` together. Files of `large_bytes` are left alone.
    """

    settle: timedelta = timedelta(hours=24)
    most_files: int = 4
    small_bytes: int = 64 << 20
    large_bytes: int = 512 << 20

    def due(self, files: Sequence[LiveFile]) -> list[LiveFile]:
        """Return those of an hour's files that should become one."""
        some = [file for file in files if not file.whole or file.bytes < self.large_bytes]
        small = len(some) > 1 and sum(file.bytes for file in some) <= self.small_bytes
        return some if small or len(some) > self.most_files or any(not file.whole for file in some) else []


@dataclass(frozen=True)
class Due:
    """The files of one hour that should become one."""

    source: str
    room: str
    hour: str
    files: tuple[LiveFile, ...]

    @property
    def bytes(self) -> int:
        """Return what they take together."""
        return sum(file.bytes for file in self.files)

    def waits(self, unbuilt: AbstractSet[str]) -> bool:
        """Whether the files are of an event hour that is to be built: a build that reads them may be under way."""
        return self.room == paths.BRONZE and self.hour in unbuilt

    @property
    def where(self) -> str:
        """Return room, source and hour as one text."""
        return f"{self.room}/{self.source} {self.hour}"


@dataclass(frozen=True)
class Merge:
    """One merged file that is staged: its receipt, what it is made of, and where it lies."""

    receipt: CompactionReceipt
    files: tuple[LiveFile, ...]
    staged: str
    digest: str

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
            FileMark(made.file, mark.hour, mark.rows, made.bytes_after, mark.checksum, made.rows, self.digest)
            if mark.key in gone
            else mark
            for mark in marks_of(receipt, made.room)
        )
        return with_marks(receipt, made.room, marks)


@dataclass
class Compacted:
    """What a compaction did: receipts of merged files, hours that were left alone and why, files that went."""

    merged: list[CompactionReceipt] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)  # `<room>/<source> <hour>` → why
    removed: list[str] = field(default_factory=list)


def due(
    store: Store,
    source: str,
    policy: Policy,
    now: datetime,
    first: str | None = None,
    last: str | None = None,
) -> list[Due]:
    """Return what should be merged of a source, oldest hour first; `now` is UTC, aware.

    Of the hours from `first` to `last` (both included) when given.
    """
    found, receipts = [], list(ledger.landings(store, source))
    newest = ledger.hour_text(paths.floor_hour(now - policy.settle) - timedelta(hours=1))
    for room in ROOMS:
        for hour, files in by_hour(live_files(receipts, room)).items():
            in_range = (first is None or hour >= first) and (last is None or hour <= last) and hour <= newest
            if in_range and (some := policy.due(files)):
                found.append(Due(source, room, hour, tuple(some)))
    return found


def compact(
    store: Store,
    sources: Iterable[str],
    wanted: Sequence[Due],
    resources: Resources,
    told: Callable[[Due], None] = lambda _: None,
) -> Compacted:
    """Merge what is due, some hours at a time, and remove what no receipt of the sources names afterwards."""
    done = Compacted()
    for unit in _units(wanted):
        with Workplace(store, "compact") as place, resources.connect(store, place.path) as con:
            merges: list[Merge] = []
            for each in unit:
                told(each)
                try:
                    merges += _merged(store, con, each, place)
                except RowsChanged as problem:
                    done.left[each.where] = str(problem)
                except duckdb.Error as problem:  # a file of the hour is damaged
                    done.left[each.where] = f"{' '.join(str(problem).split())[:300]}; {REPAIR}"
                    tell_omission(f"{each.where} cannot be merged: {REPAIR}")
            published = publish_merges(store, merges)
        done.merged += [each.receipt for each in published]
        late = [each.receipt for each in merges if each not in published]
        done.left |= {f"{each.room}/{each.source} {each.hour}": _LATE for each in late}
    for source in sources:
        try:
            done.removed += remove_orphans(store, source)
        except ledger.BrokenReceipt as problem:
            tell_omission(f"{problem}; what was merged of {source} is not removed until then")
    return done


def _merged(store: Store, con: duckdb.DuckDBPyConnection, wanted: Due, place: Workplace) -> list[Merge]:
    merges = []
    for group in mergeable(con, store, wanted.files):
        for files in _bins(group):
            if len(files) > 1 or not files[0].whole:
                merges.append(_merge(store, con, wanted, files, place))
    return merges


def _merge(
    store: Store, con: duckdb.DuckDBPyConnection, wanted: Due, files: Sequence[LiveFile], place: Workplace
) -> Merge:
    members = tuple(Merged(batch, file.key, mark.rows, mark.checksum) for file in files for batch, mark in file.marks)
    name = COMPACTED + hashlib.sha256(msgspec.json.encode(members)).hexdigest()[:16]
    out = place.path / f"{wanted.room}-{name}.parquet"
    before, after = merge(con, store, files, wanted.room, out)
    receipt = CompactionReceipt(
        source=wanted.source,
        room=wanted.room,
        hour=wanted.hour,
        file=paths.shared_file(wanted.room, wanted.source, ledger.hour(wanted.hour), name),
        rows=sum(file.rows for file in files),
        left_behind=sum(file.marks[0][1].file_rows - file.rows for file in files if not file.whole),
        files_before=len(files),
        bytes_before=sum(file.bytes for file in files),
        bytes_after=out.stat().st_size,
        rows_checksum_before=before.columns,
        rows_checksum_after=after.columns,
        members=members,
        compacted_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Merge(receipt, tuple(files), place.key_of(out), ledger.digest_of(out))


def _bins(files: Sequence[LiveFile]) -> Iterator[list[LiveFile]]:
    """Yield files in groups of no more than `_MOST_BYTES`, in order."""
    group: list[LiveFile] = []
    for file in files:
        if group and sum(each.bytes for each in (*group, file)) > _MOST_BYTES:
            yield group
            group = []
        group.append(file)
    yield group


def _units(wanted: Sequence[Due]) -> Iterator[list[Due]]:
    unit: list[Due] = []
    for each in wanted:
        if unit and (len(unit) >= _UNIT_HOURS or sum(due.bytes for due in (*unit, each)) > _UNIT_BYTES):
            yield unit
            unit = []
        unit.append(each)
    if unit:
        yield unit


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
        written += [(paths.compaction_receipt(each.receipt.file), encode(each.receipt)) for each in valid]
        return Change(moves=tuple((each.staged, each.receipt.file) for each in valid), receipts=tuple(written))

    if merges:
        publish(store, plan)
    return valid


def _receipts(store: Store, merges: Sequence[Merge]) -> Iterator[tuple[tuple[str, str], LandingReceipt]]:
    for owner in sorted({owner for each in merges for owner in each.owners}):
        if receipt := ledger.landing(store, *owner):
            yield owner, receipt
