"""Landing: raw objects become bronze, quarantine and a receipt. `land_files` chooses batches, `land` lands one.

Every record that the decoder counts ends in exactly one file: of an event hour, or of quarantine. One COPY writes both
(`write`); a rejected record travels in the partition `date=quarantine` with its reason in `_violations`, and is then
rewritten in quarantine's own shape. The staged files are read back for the receipt, and published with it (`publish`).

A batch of an hour holds what arrived in that hour; one that a queue announced holds what arrived before it was made,
and its name tells when that was; one of files, which somebody landed by hand, may hold anything. Its name is a hash of
the files' names, so the same call again is the same batch. Objects that an earlier batch holds unchanged, under the
same contract, are not read again.
"""

import hashlib
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import msgspec

from ingest.contracts import Contract
from ingest.landing.publish import (
    LandingError,
    Staged,
    first_line,
    no_longer_among,
    publish_without_erased,
    receipt_of,
)
from ingest.landing.write import LandingSettings, Progress, Writing, connect
from ingest.objects import RawObject
from lake import ledger
from lake.base.errors import NEEDS_A_LOOK, HeadwaterError, tell_omission
from lake.ledger import Coverage, LandingReceipt, Removed, Swept, is_intact, with_erased
from lake.storage import paths
from lake.storage.publish import Workplace
from lake.storage.store import Store

BATCH_BYTES = 4 << 30  # as stored; a longer history becomes several batches, so that a crash costs one of them
HOUR_BATCH = re.compile(r"\d{8}T\d{2}\Z")
_QUEUE_BATCH = re.compile(r"queue-(\d{8}T\d{2})\d{4}-[0-9a-f]{12}\Z")
_HOUR = timedelta(hours=1)  # by which clocks may differ

Mark = tuple[str, str]  # an object's name and fingerprint


class ObjectsGone(LandingError):
    """Objects that a batch was made of are gone: landing it again would lose their records."""

    exit_code = NEEDS_A_LOOK  # the batch is in the lake, and stays as it is


class NoneReadable(LandingError):
    """Not one object of a batch could be read. Nothing was published; `unreadable` holds (name, why) of each."""

    def __init__(self, source: str, batch: str, unreadable: Sequence[tuple[str, str]]) -> None:
        self.unreadable = tuple(unreadable)
        super().__init__(
            f"{source}: batch {batch} was not landed: none of its {len(unreadable)} objects could be read; the first:"
            f" {unreadable[0][1]}. Nothing was published; the records are still in the objects they came from."
        )


class FewerRecords(LandingError):
    """A batch that is asked for again and answers fewer records than it landed; the landed ones stay as they are."""

    exit_code = NEEDS_A_LOOK

    def __init__(self, found: int, words: str) -> None:
        self.found = found
        super().__init__(words)


def land(
    contract: Contract,
    objects: Sequence[RawObject],
    store: Store,
    batch: str,
    settings: LandingSettings | None = None,
    ignored: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
    may_shrink: bool = True,
    notes: Sequence[str] = (),
    missing: Mapping[str, str] = MappingProxyType({}),
    lost: Sequence[Coverage] = (),
) -> LandingReceipt:
    """Land objects as one batch and return its receipt, which is durable when this returns.

    Landing the same batch again replaces exactly its own files; files whose rows are the same are left alone.
    A record that violates a field whose contract says `stall` leaves the batch unpublished, with status `stalled`.
    `may_shrink` is false for what cannot take records back, such as an API that forgets old ones: then all objects
    land, or none. An object that is gone when its turn comes is left out and named in the receipt's `ignored` with the
    reason. One that exists and cannot be read is named in `unreadable`: the batch lands without it. `missing` says by
    name why parts of the source gave no object: they stand there, too. `lost` is what the vendor says it does not have.

    Raises:
        ObjectsGone: the batch holds records of an object that is gone or cannot be read. Bronze keeps what it has.
        NoneReadable: no object of the batch can be read.
        FewerRecords: the batch may not shrink, and would. Bronze keeps what it has.
        LandingError: the store is out of reach, or the lake cannot be written. The objects are where they were, and
            the ledger has a record of it (`lake.ledger.not_landed`), which goes when the batch lands.
    """
    settings = settings or LandingSettings()
    began_at = datetime.now(UTC).isoformat()
    try:
        return _land(contract, objects, store, batch, settings, ignored, progress, may_shrink, notes, missing, lost)
    except (ObjectsGone, FewerRecords):
        raise
    except Exception as problem:
        failed = problem
        if not isinstance(problem, HeadwaterError):
            failed = LandingError(
                f"{contract.source}: batch {batch} was not landed: {first_line(problem)}. The records are still in the"
                " objects they came from; what was begun is finished or removed when the lake is opened again."
            )
        _record_failure(store, contract.source, batch, objects, failed, began_at)
        if failed is problem:
            raise
        raise failed from problem


def _record_failure(
    store: Store, source: str, batch: str, objects: Sequence[RawObject], problem: Exception, began_at: str
) -> None:
    from lake.ledger.not_landed import NotLanded, record  # which only a failure needs

    names = tuple(each.name for each in objects)
    with suppress(HeadwaterError, OSError):  # the lake that cannot be written says so by the error itself
        if not _was_published(store, source, batch, began_at):
            record(store, NotLanded(source=source, batch=batch, failed_at=began_at, why=str(problem), objects=names))


def _was_published(store: Store, source: str, batch: str, began_at: str) -> bool:
    """Whether the ledger holds the receipt of a try that failed: what failed came after publishing."""
    with suppress(HeadwaterError, OSError):
        held = ledger.landing(store, source, batch)
        return held is not None and held.landed_at >= began_at
    return False


def _land(
    contract: Contract,
    objects: Sequence[RawObject],
    store: Store,
    batch: str,
    settings: LandingSettings,
    ignored: Sequence[tuple[str, str]],
    progress: Progress | None,
    may_shrink: bool,
    notes: Sequence[str],
    missing: Mapping[str, str],
    lost: Sequence[Coverage],
) -> LandingReceipt:
    started = time.monotonic()
    previous = ledger.landing(store, contract.source, batch)
    now = datetime.now(UTC)
    first_landed_at = datetime.fromisoformat(previous.first_landed_at) if previous else now
    with Workplace(store, "land") as place:
        staged = Staged(place, batch)
        writing = Writing(contract, objects, settings, staged, now, progress)
        written = writing.write(whole=not may_shrink)
        report = written.report
        refused = dict(report.refused)
        check_none_gone(contract.source, batch, previous, (*report.gone, *refused), refused)
        if refused and not report.objects and not report.gone:
            raise NoneReadable(contract.source, batch, report.refused)

        def receipt(gone: Sequence[Removed]) -> LandingReceipt:
            made = receipt_of(staged, written.report, written.reader, settings.stalls_as)
            if previous and not may_shrink and (gone_since := no_longer_among(store, previous, staged)):
                raise FewerRecords(
                    made.read,
                    f"{contract.source}: batch {batch} landed {previous.read} records, and {gone_since} of them are not"
                    f" among the {made.read} found now. Nothing was changed: bronze keeps what it has. Does the source"
                    " still keep records of that time?",
                )
            made = msgspec.structs.replace(
                made,
                first_landed_at=first_landed_at.isoformat(),
                landed_at=now.isoformat(),
                ignored=(*ignored, *made.ignored),
                unreadable=tuple(sorted({**refused, **missing}.items())),
                coverage=(*made.coverage, *lost),
                swept=_swept(previous, made, now) if not may_shrink else (),
                notes=(*notes, *made.notes),
                seconds=round(time.monotonic() - started, 3),
            )
            return with_erased(made, gone)

        return publish_without_erased(store, contract, staged, lambda: connect(settings, staged), receipt)


def _swept(previous: LandingReceipt | None, made: LandingReceipt, now: datetime) -> tuple[Swept, ...]:
    if previous is None or previous.status != "published":
        return ()
    return (*previous.swept, Swept(now.isoformat(), made.read - previous.read))


def check_none_gone(
    source: str,
    batch: str,
    previous: LandingReceipt | None,
    gone: Collection[str],
    refused: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise ObjectsGone if a batch holds records of objects that are gone; `refused` says why of some of them."""
    if previous is None or not (previous.files or previous.quarantine_files or previous.status == "published"):
        return  # a batch that stalled before it ever landed has no records to lose
    lost = [mark.name for mark in previous.objects if mark.name in gone]
    if lost:
        why = refused.get(lost[0])
        what = f"cannot be read any more (first: {why})" if why else f"are no longer at the source (first: {lost[0]})"
        raise ObjectsGone(
            f"{source}: batch {batch} holds {len(lost)} objects that {what}."
            " Landing it again would lose their records, so nothing was changed; bronze keeps what it has."
        )


@dataclass(frozen=True)
class Landed:
    """One batch that a call landed, or found landed (`unchanged`)."""

    receipt: LandingReceipt
    unchanged: bool
    objects: frozenset[str]  # those of the batch's objects that the call asked for

    def counted(self) -> dict[str, int]:
        """Return read, landed and quarantined of the objects that were asked for."""
        marks = [mark for mark in self.receipt.objects if mark.name in self.objects]
        if self.receipt.status != "published" or len(marks) == len(self.receipt.objects):
            whole = self.receipt
            return {"read": whole.read, "landed": whole.landed, "quarantined": whole.quarantined}
        read, quarantined = sum(mark.read for mark in marks), sum(mark.quarantined for mark in marks)
        return {"read": read, "landed": read - quarantined, "quarantined": quarantined}


def land_files(
    contract: Contract,
    objects: Sequence[RawObject],
    store: Store,
    settings: LandingSettings | None = None,
    ignored: Sequence[tuple[str, str]] = (),
    progress: Callable[[int], None] | None = None,
    again: bool = False,
) -> list[Landed]:
    """Land files and return the batches that now hold them.

    A batch that holds them, and whose files are gone or damaged, is landed anew when all of its objects are given.

    Raises:
        LandingError, NoneReadable: a batch could not be landed. All others are, and stand in the error's `landed`.
    """
    broken: list[str] = []
    receipts = {receipt.batch: receipt for receipt in ledger.landings(store, contract.source, broken)}
    for said in broken:
        tell_omission(f"{said}; until then its objects count as never landed")
    owners = _owners(receipts.values(), contract)
    landed: list[Landed] = []
    fresh: list[RawObject] = []
    kept: dict[str, set[str]] = {}
    for each in objects:
        owner = owners.get((each.name, each.fingerprint))
        if owner is None or again:
            fresh.append(each)
        else:
            kept.setdefault(owner, set()).add(each.name)
    groups = {batch_name(group): group for group in groups_of(fresh)}
    failed: list[LandingError] = []
    for batch, names in sorted(kept.items()):
        lost = _lost_files(store, receipts[batch])
        if lost and names >= {mark.name for mark in receipts[batch].objects}:
            groups[batch] = [each for each in objects if each.name in names]
            continue
        if lost:
            failed.append(_half_given(receipts[batch], lost, names))
        landed.append(Landed(receipts[batch], unchanged=True, objects=frozenset(names)))
    for batch, group in groups.items():
        try:
            receipt = land(contract, group, store, batch, settings, ignored, progress)
        except LandingError as problem:
            failed.append(problem)
            continue
        landed.append(Landed(receipt, unchanged=False, objects=frozenset(each.name for each in group)))
    if failed:
        failed[0].landed = landed
        raise failed[0]
    return landed


def _lost_files(store: Store, receipt: LandingReceipt) -> list[str]:
    """Return the keys of a batch's files that are gone, or are not as the receipt says."""
    return [mark.key for mark in (*receipt.files, *receipt.quarantine_files) if not is_intact(store, mark)]


def _half_given(receipt: LandingReceipt, lost: Sequence[str], names: Collection[str]) -> LandingError:
    others = [mark.name for mark in receipt.objects if mark.name not in names]
    return LandingError(
        f"{receipt.source}: {lost[0]} is missing or damaged, and batch {receipt.batch} can only be landed anew as a"
        f" whole: land {', '.join(others[:3])}{' …' if len(others) > 3 else ''} in the same call"
    )


def batch_name(objects: Iterable[RawObject]) -> str:
    """Return the name of the batch that these objects make, whatever their order."""
    names = "\n".join(sorted(each.name for each in objects))
    return f"files-{hashlib.sha256(names.encode()).hexdigest()[:16]}"


def _owners(receipts: Iterable[LandingReceipt], contract: Contract) -> dict[tuple[str, str], str]:
    """Which batch holds an object, by name and change mark, under the contract as it is now."""
    return {
        (mark.name, mark.fingerprint): receipt.batch
        for receipt in receipts
        if receipt.status == "published" and receipt.contract_fingerprint == contract.fingerprint
        for mark in receipt.objects
    }


def groups_of(objects: Iterable[RawObject]) -> list[list[RawObject]]:
    """Return objects in name order, in groups of no more than a batch should hold."""
    groups: list[list[RawObject]] = []
    size = 0
    for each in sorted(objects, key=lambda found: found.name):
        if not groups or size + each.size > BATCH_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(each)
        size += each.size
    return groups


def queue_batch_name(made_at: datetime, digest: str) -> str:
    """Return the name of a batch of announced objects; `digest` (hex) is of what it holds."""
    return f"queue-{made_at.astimezone(UTC):%Y%m%dT%H%M%S}-{digest[:12]}"


def is_queue_batch(batch: str) -> bool:
    """Return whether a batch holds objects that a queue announced."""
    return _QUEUE_BATCH.match(batch) is not None


def batches(store: Store, source: str) -> list[str]:
    """Return the names of all batches of a source."""
    folder = f"{paths.LEDGER}/landing/{source}"
    return [
        entry.key.rsplit("/", 1)[-1].removesuffix(".json")
        for entry in store.list(folder)
        if entry.key.endswith(".json")
    ]


def receipts_since(store: Store, source: str, arrived: datetime, *, hours: bool = True) -> Iterator[LandingReceipt]:
    """Yield the receipts that can hold objects which arrived at an hour (naive UTC) or later.

    Batches of hours are left out when `hours` is false.
    """
    for batch in batches(store, source):
        made = _QUEUE_BATCH.match(batch)
        hour = batch if HOUR_BATCH.match(batch) else made[1] if made else None
        if hour == batch and not hours:
            continue
        if hour is None or datetime.strptime(hour, "%Y%m%dT%H") >= arrived - _HOUR:
            receipt = ledger.landing(store, source, batch)
            if receipt is not None:
                yield receipt


def marks(receipt: LandingReceipt) -> set[Mark]:
    """Return the objects that a batch holds."""
    return {(mark.name, mark.fingerprint) for mark in receipt.objects}
