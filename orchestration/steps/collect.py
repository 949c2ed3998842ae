"""Collecting: one arrival hour of one source becomes the batch of that hour."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.contracts import Contract
from ingest.landing import FewerRecords, LandingError, LandingSettings, land, land_files
from ingest.landing.land import (
    Mark,
    NoneReadable,
    ObjectsGone,
    batches,
    check_none_gone,
    is_queue_batch,
    marks,
    receipts_since,
)
from ingest.landing.queue import Drained, drain, one_drainer
from ingest.objects import Listing, RawObject, is_bucket_url, list_places
from ingest.sources import BrokenModule, api_of
from ingest.transports.fetch_errors import FetchError
from ingest.transports.queue import Queue
from lake import ledger
from lake.base.errors import NEEDS_A_LOOK, WRONG_CALL, HeadwaterError, warn_once
from lake.ledger import LandingReceipt
from lake.storage import paths
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.settings import ObjectSource, Settings, access_of, in_zone, open_lake

_HOUR = timedelta(hours=1)
LATE_DAYS = 3  # how far back a bucket is looked through for objects that came after their hour was landed
_AGAIN = "-again"  # behind the name of an hour's batch: what was found later, where that lacks what has landed
_OBJECTS_EXAMPLE = "root: /folder/of/its/objects or s3://bucket/prefix"


if TYPE_CHECKING:
    from ingest.transports.api_settings import ApiPlace


class AnnouncedUnreadable(LandingError):
    """The queue announced objects that could not be read. All others, and the hour itself, have landed: `receipt`."""

    exit_code = NEEDS_A_LOOK

    def __init__(self, contract: Contract, drained: Drained, receipt: LandingReceipt) -> None:
        self.receipt = receipt
        super().__init__(f"{contract.source}: batch {receipt.batch} has landed, but {drained.refusal()}")


class PartlyFetched(LandingError):
    """Some tenants or streams of an API gave nothing. All others have landed: `receipt`."""

    exit_code = NEEDS_A_LOOK

    def __init__(self, contract: Contract, failed: Sequence[tuple[str, FetchError]], receipt: LandingReceipt) -> None:
        self.receipt = receipt
        said = "; ".join(str(problem) for _, problem in failed)
        super().__init__(
            f"{contract.source}: batch {receipt.batch} has landed without {len(failed)} of its streams or tenants, and"
            f" is incomplete until it is landed again: {said}. Correct that, or leave it out of `streams` or `tenants`"
        )


class SourceNotConfigured(HeadwaterError, ValueError):
    """The settings do not say where a source is read from."""

    exit_code = WRONG_CALL

    def __init__(self, contract: Contract, example: str | None = None) -> None:
        source, api = contract.source, api_of(contract.source)
        example = example or (api.EXAMPLE if api else _OBJECTS_EXAMPLE)
        super().__init__(
            f"{source} is not configured: add `sources: {{{source}: {{{example}}}}}` to the settings file,"
            f" or set HEADWATER_SOURCES__{source.upper()}__{example.split(':')[0].upper()}"
        )


def land_hour(settings: Settings, contract: Contract, hour: datetime) -> LandingReceipt:
    """Land what arrived in one hour (naive UTC) as the batch of that hour; an hour without objects lands zeros.

    Objects that another batch of the lake holds already (`headwater land` took them) are left to that batch. A source
    with a queue first lands what that announces, as batches of the queue; the hour's own batch then takes what is
    listed and was never announced, which is how an hour is known to be whole.

    Raises:
        SourceNotConfigured: the settings do not say where to read from.
        ObjectsGone: the hour's batch holds objects that are no longer there, and is left as it is. What was new at the
            source has landed in a batch of its own, which the message names.
        AnnouncedUnreadable: see there.
        PartlyFetched: see there.
        LandingError, FetchError: see `ingest.landing.land` and the source's `fetch`.
    """
    place, contract = place_of(settings, contract), in_zone(settings, contract)
    store = open_lake(settings)
    recover(store)
    limits = LandingSettings(memory_bytes=settings.memory_bytes, threads=settings.threads)
    if not isinstance(place, ObjectSource):
        return _land_answers(contract, place, store, hour, limits)
    if place.queue is None:
        return _land_objects(settings, contract, place, store, hour, limits)
    with one_drainer(store, contract.source):
        drained = drain_queue(settings, contract, place, store, limits)
        receipt = _land_objects(settings, contract, place, store, hour, limits, drained.notes())
    if drained.refused:
        raise AnnouncedUnreadable(contract, drained, receipt)
    return receipt


def _land_answers(
    contract: Contract, place: "ApiPlace", store: Store, hour: datetime, limits: LandingSettings
) -> LandingReceipt:
    """Ask the source's API for the hour and land the answers; they are kept until their batch is published."""
    api, batch = api_of(contract.source), paths.hour_name(hour)
    if api is None:
        raise SourceNotConfigured(contract)
    spool = store.prepared(f"{paths.SPOOL}/{contract.source}/{batch}")
    swept = hour.replace(tzinfo=UTC) + _HOUR + api.SWEEP
    if api.SWEEP and datetime.now(UTC) >= swept and _is_older(spool, swept):
        shutil.rmtree(spool, ignore_errors=True)  # what a sweep asks for may have come since
    try:
        fetched = api.fetch(place, hour, spool)
        if fetched.failed and ledger.landing(store, contract.source, batch) is not None:
            raise fetched.failed[0][1]  # the batch may hold what failed now; the pages that came are kept
        missing = {name: str(problem) for name, problem in fetched.failed}

        def landed(name: str) -> LandingReceipt:
            found, lost = fetched.objects, fetched.lost
            return land(contract, found, store, name, limits, may_shrink=False, missing=missing, lost=lost)

        try:
            receipt = landed(batch)
        except FewerRecords as problem:
            if not problem.found:
                raise
            warn_once(f"{problem} What was found lands beside it, as batch {batch}{_AGAIN}.")
            receipt = landed(batch + _AGAIN)
    except FewerRecords:
        shutil.rmtree(spool, ignore_errors=True)  # what was landed before is in bronze; the next try asks again
        raise
    if fetched.failed:
        raise PartlyFetched(contract, fetched.failed, receipt)
    if receipt.status == "published":  # a stalled batch waits for a decision, its records are only here
        shutil.rmtree(spool, ignore_errors=True)
    return receipt


def _is_older(spool: Path, moment: datetime) -> bool:
    return any(each.stat().st_mtime < moment.timestamp() for each in spool.rglob("cursor.json"))


def _land_objects(
    settings: Settings,
    contract: Contract,
    place: ObjectSource,
    store: Store,
    hour: datetime,
    limits: LandingSettings,
    notes: Sequence[str] = (),
) -> LandingReceipt:
    access = access_of(settings, contract.source)
    found = list_places(contract, [place.root], access, hour) if place.root else Listing()
    batch, told = paths.hour_name(hour), (*notes, *found.notes)
    held = ledger.landing(store, contract.source, batch)
    mine = marks(held) if held else set()
    elsewhere = _held_elsewhere(store, contract.source, hour)
    here = {each.name for each in found.objects}
    objects = [each for each in found.objects if (each.name, each.fingerprint) not in elsewhere]
    try:
        check_none_gone(contract.source, batch, held, {name for name, _ in mine} - here)
        return land(contract, objects, store, batch, limits, found.passed_over(), notes=told)
    except ObjectsGone as problem:
        new = [each for each in objects if (each.name, each.fingerprint) not in mine]
        raise _with_new_ones(contract, new, store, limits, problem) from problem


def _with_new_ones(
    contract: Contract, new: Sequence[RawObject], store: Store, limits: LandingSettings, problem: ObjectsGone
) -> ObjectsGone:
    """Land the new objects of an hour whose batch must stay as it is; return what to say of both."""
    try:
        batches = ", ".join(each.receipt.batch for each in land_files(contract, new, store, limits))
    except NoneReadable as unreadable:
        return ObjectsGone(f"{problem} {unreadable}")
    return ObjectsGone(f"{problem} What is new at the source has landed as {batches}.") if batches else problem


def drain_queue(
    settings: Settings, contract: Contract, place: ObjectSource, store: Store, limits: LandingSettings
) -> Drained:
    """Land what a source's queue announces now; call it inside `one_drainer`.

    Raises:
        SourceNotConfigured: the source has no queue.
        LandingError, AccessDenied, StoreUnavailable: see `ingest.landing.queue.drain`.
    """
    if place.queue is None:
        raise SourceNotConfigured(contract, "queue: https://sqs.<region>.amazonaws.com/<account>/<name>")
    access = access_of(settings, contract.source)
    root = place.root if place.root and is_bucket_url(place.root) else None
    return drain(contract, Queue(place.queue, access), root, access, store, limits)


@dataclass(frozen=True)
class Late:
    """Objects that came late: names by arrival hour (naive UTC), and what should be said of others, a sentence each.

    `unread` are those that were there when their hour was landed, and could not be read.
    """

    hours: dict[datetime, list[str]]
    notes: list[str]
    unread: dict[datetime, set[str]] = field(default_factory=dict)


def late_objects(settings: Settings, contract: Contract, now: datetime | None = None) -> Late:
    """Return the objects of a source that no batch holds, of hours that have landed already.

    They came after their hour was landed: a copy that was slow, a name with an old delivery time. Landing the hour
    again takes them in. Hours that never landed are left to the schedule and to backfills. Of a bucket only the last
    days are looked at (`LATE_DAYS`), for listing costs; a queue announces late objects of any age. Of an API these are
    hours that are to be asked for again: as their contract has it, and those that lack a tenant or a stream.
    """
    place = settings.sources.get(contract.source)
    if place is not None and not isinstance(place, ObjectSource):
        return _hours_to_ask_again(settings, contract, now or datetime.now(UTC))
    if not isinstance(place, ObjectSource) or place.root is None:
        return Late({}, [])
    far = is_bucket_url(place.root)
    if not far and not Path(place.root).is_dir():
        return Late({}, [])
    today = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    since = paths.floor_hour(today) - timedelta(days=LATE_DAYS) if far else datetime.min + timedelta(days=1)
    store = open_lake(settings)
    found = list_places(contract, [place.root], access_of(settings, contract.source), since=since)
    receipts = list(receipts_since(store, contract.source, since))
    held = {mark for receipt in receipts for mark in marks(receipt)}
    refused = {name for receipt in receipts for name, _ in receipt.unreadable}
    landed = set(batches(store, contract.source))
    late: dict[datetime, list[str]] = {}
    for each in found.objects:
        hour = paths.floor_hour(each.arrived_at)
        if (each.name, each.fingerprint) not in held and paths.hour_name(hour) in landed:
            late.setdefault(hour, []).append(each.name)
    strange = [f"{name}: {why}" for name, why in found.ignored if far]
    more = [f"and {len(strange) - 3} more objects like these"] if len(strange) > 3 else []
    unread = {hour: refused.intersection(names) for hour, names in late.items()}
    return Late(dict(sorted(late.items())), [*found.notes, *strange[:3], *more], unread)


def _hours_to_ask_again(settings: Settings, contract: Contract, now: datetime) -> Late:
    api = api_of(contract.source)
    if api is None:
        return Late({}, [])
    late, unread, today = dict[datetime, list[str]](), dict[datetime, set[str]](), now.astimezone(UTC)
    since = paths.floor_hour(today.replace(tzinfo=None)) - api.SWEEP - timedelta(days=LATE_DAYS)
    store = open_lake(settings)
    for receipt in receipts_since(store, contract.source, since):
        hour = paths.hour_named(receipt.batch)
        if hour is None:
            continue
        due = hour.replace(tzinfo=UTC) + _HOUR + api.SWEEP
        if missing := {name for name, _ in receipt.unreadable}:
            late[hour], unread[hour] = sorted(missing), missing
        elif api.SWEEP and due <= today and not _is_asked_since(store, receipt, due):
            late[hour] = [f"the hour itself, {api.SWEEP} after its end"]
    return Late(dict(sorted(late.items())), [], unread)


def _is_asked_since(store: Store, receipt: LandingReceipt, due: datetime) -> bool:
    """Whether an hour was landed after a time, as its batch or, where that has what is no longer found, beside it."""
    if datetime.fromisoformat(receipt.landed_at) >= due:
        return True
    again = ledger.landing(store, receipt.source, receipt.batch + _AGAIN)
    return again is not None and datetime.fromisoformat(again.landed_at) >= due


def due_hours(settings: Settings, contract: Contract, first: datetime | None, last: datetime | None) -> list[datetime]:
    """Return the arrival hours (naive UTC) of a source that can be landed and are not: those from `first` to `last`.

    Without `first` it is the hour behind the newest that has landed, or the newest settled one; without `last` that.
    Hours that are to be landed again (`late_objects`) come along when neither is given. Raises SourceNotConfigured.
    """
    place_of(settings, contract)
    settled = paths.floor_hour((datetime.now(UTC) - settle_of(settings, contract)).replace(tzinfo=None)) - _HOUR
    landed = {hour for each in batches(open_lake(settings), contract.source) if (hour := paths.hour_named(each))}
    again = [] if first or last else [hour for hour in late_objects(settings, contract).hours if hour <= settled]
    begin = first or (max(landed) + _HOUR if landed else settled)
    end = min(last or settled, settled)
    wanted = paths.hours_between(begin, end + _HOUR) if begin <= end else []
    return [*again, *(hour for hour in wanted if first or hour not in landed)]


def place_of(settings: Settings, contract: Contract) -> "ObjectSource | ApiPlace":
    """Return where a source is read from. Raises SourceNotConfigured, SettingsError."""
    settings.refuse(f"sources.{contract.source}")
    place: ObjectSource | ApiPlace | None = settings.sources.get(contract.source)
    if place is None or (isinstance(place, ObjectSource) and not place.address):
        raise SourceNotConfigured(contract)
    return place


def settle_of(settings: Settings, contract: Contract) -> timedelta:
    """Return how long after its end an arrival hour is left alone: what the settings say, or one delivery."""
    place = settings.sources.get(contract.source)
    try:
        api = api_of(contract.source)
    except BrokenModule as problem:  # landing says so, too
        warn_once(f"{problem}; {contract.source} is not fetched until that is corrected")
        return contract.cadence
    if place is None or isinstance(place, ObjectSource):
        return api.SETTLE if api else contract.cadence
    return place.settle  # type: ignore[no-any-return]


def _held_elsewhere(store: Store, source: str, hour: datetime) -> set[Mark]:
    """Return the objects in batches of files or of a queue; an object has one hour, so hours share none.

    The contract's version does not matter here: to read those objects again under a new one, `headwater land` does.
    A stalled batch of a queue keeps its objects, for its decision lands them.
    """
    return {
        mark
        for receipt in receipts_since(store, source, hour, hours=False)
        if receipt.status == "published" or is_queue_batch(receipt.batch)
        for mark in marks(receipt)
    }
