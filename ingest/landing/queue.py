"""Landing what a queue announces: every message becomes part of a batch, or of the record of what cannot be read.

A drained set of messages makes one batch (more, where it is large) of the objects that no batch holds yet. Its messages
are deleted when the receipt is durable, never before: killed anywhere, the messages come back, and what had landed is
found in the ledger. So redelivered and repeated messages are harmless, and each object is read once. An object that is
there and cannot be read keeps its messages in the queue, and no other object waits for it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

import msgspec

from ingest.contracts import Contract
from ingest.landing.land import NoneReadable, groups_of, is_queue_batch, land, marks, queue_batch_name, receipts_since
from ingest.landing.write import LandingSettings
from ingest.objects import ObjectGone, ObjectRefused, RawObject, delivered_at, hour_of, lies_as_by_firehose, why_not
from ingest.transports.bucket_object import BucketPlace, bucket_place, listed_object, raw_object
from ingest.transports.queue import Announced, Message, Queue, UnreadableMessage, announced
from lake import ledger
from lake.ledger import LandingReceipt
from lake.storage import paths
from lake.storage.store import AwsAccess, Store

MESSAGES = 10_000  # of one set; more of them make more batches
_HEADS_AT_ONCE = 16


class UnreadableRecord(msgspec.Struct, frozen=True):
    """A message that could not be read, kept whole: why, when it was first seen, and the message itself."""

    message_id: str
    queue: str
    why: str
    first_seen_at: str
    received: int
    body: str


@dataclass
class Drained:
    """What became of the messages of a queue.

    `known` counts objects that are in a batch already, `passed_over` those that are no event data; `unreadable` are the
    ledger's keys of messages that are no notifications. `foreign` are objects of other sources, `refused` those that
    could not be read, by name with the reason: the messages of both stay.
    """

    receipts: list[LandingReceipt] = field(default_factory=list)
    messages: int = 0
    known: int = 0
    passed_over: int = 0
    unreadable: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """Return what a person should know, one sentence each."""
        notes = []
        if self.messages:
            without = "no batch" if self.refused or self.unreadable or self.foreign else "no batch, all was known"
            batches = ", ".join(each.batch for each in self.receipts) or without
            notes.append(f"the queue gave {self.messages:,} messages; they became {batches}")
        if self.unreadable:
            notes.append(
                f"{len(self.unreadable):,} messages of the queue are no notifications; they are kept whole, with the"
                f" reason, in {self.unreadable[0]} and beside it"
            )
        if self.foreign:
            notes.append(
                f"{len(self.foreign):,} objects were announced that are not of this source (first: {self.foreign[0]});"
                " their messages were left in the queue. Give each source a queue of its own, or correct its root"
            )
        return [*notes, self.refusal()] if self.refused else notes

    def refusal(self) -> str:
        """Return which announced objects could not be read and why, in one sentence; empty if all could."""
        if not self.refused:
            return ""
        return (
            f"{len(self.refused):,} announced objects could not be read; their messages were left in the queue and come"
            f" again. The first: {next(iter(self.refused.values()))}"
        )


@contextmanager
def one_drainer(store: Store, source: str) -> Iterator[None]:
    """Let one process at a time take in what a queue announces, so that no object is taken in twice."""
    with store.lock(f"queue-{source}"):
        yield


def drain(
    contract: Contract,
    queue: Queue,
    root: str | None,
    access: AwsAccess,
    store: Store,
    settings: LandingSettings | None = None,
) -> Drained:
    """Land what the queue announces now, and delete the messages. Call it inside `one_drainer`.

    `root` is the source's `s3://bucket/prefix`: other objects are not of this source. A stalled batch is durable too:
    its messages are deleted, and `settings.stalls_as` decides about it the next time.

    What could not be read is in the answer's `refused`; everything else of its set is landed.

    Raises:
        LandingError: a set could not be landed; its messages stay in the queue. Sets before it are landed.
        AccessDenied, StoreUnavailable: the queue or a bucket does not answer; the message says what is missing.
    """
    settings = settings or LandingSettings()
    done = Drained()
    place = bucket_place(root, access) if root else None
    if settings.stalls_as != "stall":
        done.receipts += _decided(contract, access, store, settings)
    while True:
        messages, finished = queue.receive(MESSAGES), 0
        if messages:
            with queue.kept(messages):
                finished = _take_in(contract, queue, place, access, store, settings, messages, done)
        if len(messages) < MESSAGES or not finished:
            return done


def _take_in(
    contract: Contract,
    queue: Queue,
    place: BucketPlace | None,
    access: AwsAccess,
    store: Store,
    settings: LandingSettings,
    messages: Sequence[Message],
    done: Drained,
) -> int:
    """Take in a set of messages; return how many are finished and deleted."""
    found: dict[str, Announced] = {}
    ours: list[tuple[Message, set[str]]] = []
    unreadable: list[tuple[Message, str]] = []
    for message in messages:
        try:
            objects = announced(message.body, contract.notifications)
        except UnreadableMessage as problem:
            unreadable.append((message, str(problem)))
            continue
        foreign = [each for each in objects if not _is_ours(contract, place, each)]
        done.foreign += [_name(each) for each in foreign]
        if not foreign:
            ours.append((message, {_name(each) for each in objects}))
        for each in objects:
            if each not in foreign:
                found[_name(each)] = max(found.get(_name(each), each), each, key=lambda one: one.order)
    done.messages += len(messages)
    wanted = {name: each for name, each in found.items() if not why_not(contract, name, named=False, expected=True)}
    done.passed_over += len(found) - len(wanted)
    _land_new(contract, access, store, settings, list(wanted.values()), done)
    finished = [message for message, names in ours if names.isdisjoint(done.refused)]
    finished += _kept_for_people(contract.source, queue, store, unreadable, done)
    queue.delete(finished)
    return len(finished)


def _is_ours(contract: Contract, place: BucketPlace | None, each: Announced) -> bool:
    if contract.ignores(_name(each)):
        return True
    if place and (each.bucket != place.bucket or not each.key.startswith(place.prefix)):
        return False
    if place and lies_as_by_firehose(each.key.removeprefix(place.prefix)):
        return True
    return not contract.key_layouts or any(layout.day.fits(each.key) for layout in contract.key_layouts)


def _name(each: Announced) -> str:
    return f"s3://{each.bucket}/{each.key}"


def _land_new(
    contract: Contract,
    access: AwsAccess,
    store: Store,
    settings: LandingSettings,
    found: Sequence[Announced],
    done: Drained,
) -> None:
    with ThreadPoolExecutor(_HEADS_AT_ONCE, thread_name_prefix="head") as pool:
        answers = list(pool.map(lambda each: _object(contract, access, each), found))
    objects = [each for each in answers if isinstance(each, RawObject)]
    gone = [each for each in answers if not isinstance(each, RawObject)]
    new = list(_new(store, contract.source, objects))
    done.known += len(objects) - len(new)
    for group in groups_of(new) or ([[]] if gone else []):
        digest = hashlib.sha256("\n".join(f"{each.name} {each.fingerprint}" for each in group).encode()).hexdigest()
        batch = queue_batch_name(datetime.now(UTC), digest)
        try:
            receipt = land(contract, group, store, batch, settings, gone)
        except NoneReadable as problem:
            done.refused |= problem.unreadable
            if not gone:
                continue
            receipt = land(contract, [], store, batch, settings, gone)
        gone = []
        done.refused |= receipt.unreadable
        done.receipts.append(receipt)


def _object(contract: Contract, access: AwsAccess, each: Announced) -> RawObject | tuple[str, str]:
    """Return an announced object, or its name and why it is not there; one that is refused says so when it is read."""
    place, name = BucketPlace(each.bucket, "", access), _name(each)
    arrived_at = delivered_at(contract, name) or each.made_at
    if each.etag is not None and each.size is not None and arrived_at is not None:
        return raw_object(place, each.key, each.etag, each.size, arrived_at)
    try:
        return listed_object(place, each.key, delivered_at(contract, name))
    except ObjectGone as gone:
        return name, str(gone)
    except ObjectRefused as refused:
        return RawObject(name, partial(_refuse, str(refused)), 0, arrived_at or datetime.now(UTC), "")


def _refuse(why: str) -> BinaryIO:
    raise ObjectRefused(why)


def _new(store: Store, source: str, objects: Sequence[RawObject]) -> Iterable[RawObject]:
    """Return the objects that no batch holds; one that a stalled batch holds waits for that batch's decision."""
    if not objects:
        return []
    since = min(hour_of(each.arrived_at) for each in objects)
    known = {mark for receipt in receipts_since(store, source, since) for mark in marks(receipt)}
    return [each for each in objects if (each.name, each.fingerprint) not in known]


def _decided(contract: Contract, access: AwsAccess, store: Store, settings: LandingSettings) -> list[LandingReceipt]:
    """Land stalled batches of the queue again, now that somebody has decided what becomes of them."""
    stalled = [
        each
        for each in ledger.landings(store, contract.source)
        if each.status == "stalled" and is_queue_batch(each.batch)
    ]
    landed = []
    for receipt in stalled:
        objects = []
        for mark in receipt.objects:
            bucket, key = mark.name.removeprefix("s3://").split("/", 1)
            etag = mark.fingerprint.rsplit("-", 1)[0]
            arrived = datetime.fromisoformat(mark.arrived_at)
            objects.append(raw_object(BucketPlace(bucket, "", access), key, etag, mark.bytes, arrived))
        landed.append(land(contract, objects, store, receipt.batch, settings, receipt.ignored))
    return landed


def _kept_for_people(
    source: str, queue: Queue, store: Store, unreadable: Sequence[tuple[Message, str]], done: Drained
) -> list[Message]:
    """Write down the messages that are no notifications; return those that may be deleted then.

    Where the queue has a dead-letter queue they are left to it, for people look there; elsewhere they would come back
    until they expire.
    """
    for message, why in unreadable:
        key = paths.unreadable_message(source, hashlib.sha256(message.body.encode()).hexdigest()[:16])
        if store.info(key) is None:
            seen = datetime.now(UTC).isoformat()
            record = UnreadableRecord(message.id, queue.url, why, seen, message.received, message.body)
            store.write(key, msgspec.json.format(msgspec.json.encode(record)))
        done.unreadable.append(key)
    return [] if not unreadable or queue.has_dead_letters() else [message for message, _ in unreadable]
