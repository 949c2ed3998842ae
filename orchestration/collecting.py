"""Collecting: one arrival hour of one source becomes the batch of that hour.

What belongs here: from where the settings say a source is read, which of an hour's objects its batch takes, and what
a source that is not configured is told. What does not: reading and fetching (`ingest`), Dagster, which calls this.
"""

import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.contracts import Contract
from ingest.landing import FewerRecords, LandingError, LandingSettings, land
from ingest.objects import RawObject
from ingest.sources.okta_system_log.source import OktaConfig, fetch_hour
from ingest.transports.folder import list_objects
from lake import ledger, paths
from lake.publish import recover
from lake.receipts import LandingReceipt
from lake.store import Store, open_store
from orchestration.settings import ObjectSource, OktaSource, Settings, base_folder

HOUR_BATCH = re.compile(r"\d{8}T\d{2}\Z")
_PLACES = {"object_store": ObjectSource, "http_cursor": OktaSource}
_EXAMPLES = {"object_store": "root: /folder/of/its/objects", "http_cursor": "base_url: https://<org>.okta.com"}


class SourceNotConfigured(ValueError):
    """The settings do not say where a source is read from."""

    def __init__(self, contract: Contract) -> None:
        source, example = contract.source, _EXAMPLES[contract.transport]
        super().__init__(
            f"{source} is not configured: add `sources: {{{source}: {{{example}}}}}` to the settings file,"
            f" or set HEADWATER_SOURCES__{source.upper()}__{example.split(':')[0].upper()}"
        )


class ObjectsGone(LandingError):
    """Objects that an hour's batch was made of are gone: landing it again would lose their records."""


def land_hour(settings: Settings, contract: Contract, hour: datetime) -> LandingReceipt:
    """Land what arrived in one hour (naive UTC) as the batch of that hour; an hour without objects lands zeros.

    Objects that another batch of the lake holds already (`headwater land` took them) are left to that batch.

    Raises:
        SourceNotConfigured: the settings do not say where to read from.
        ObjectsGone: the hour's batch holds objects that are no longer there; nothing was changed.
        LandingError, FetchError: see `ingest.landing.land` and the source's `fetch_hour`.
    """
    place = place_of(settings, contract)
    store = open_store(settings.lake)
    recover(store)
    batch = paths.hour_name(hour)
    limits = LandingSettings(memory_bytes=settings.memory_bytes, threads=settings.threads)
    if isinstance(place, ObjectSource):
        objects = _hour_objects(store, contract, base_folder() / place.root.expanduser(), hour)
        return land(contract, objects, store, batch, limits)
    spool = Path(store.url(f"{paths.SPOOL}/{contract.source}/{batch}"))
    pages = fetch_hour(_okta(place), hour.replace(tzinfo=UTC), spool)
    try:
        receipt = land(contract, pages, store, batch, limits, may_shrink=False)
    except FewerRecords:
        shutil.rmtree(spool, ignore_errors=True)  # what was landed before is in bronze; the next try asks again
        raise
    if receipt.status == "published":  # a stalled batch waits for a decision, its records are only here
        shutil.rmtree(spool, ignore_errors=True)
    return receipt


def late_objects(settings: Settings, contract: Contract) -> dict[datetime, list[str]]:
    """Return the objects of a folder that no batch holds, by arrival hour, of hours that have landed already.

    They came after their hour was landed: a copy that was slow, a name with an old delivery time. Landing the hour
    again takes them in. Hours that never landed are left to the schedule and to backfills.
    """
    place = settings.sources.get(contract.source)
    if not isinstance(place, ObjectSource) or not place.root.is_dir():
        return {}
    held: set[tuple[str, str]] = set()
    landed: set[str] = set()
    for receipt in ledger.landings(open_store(settings.lake), contract.source):
        landed.add(receipt.batch)
        held.update((mark.name, mark.fingerprint) for mark in receipt.objects)
    found: dict[datetime, list[str]] = {}
    for each in list_objects(contract, [place.root]).objects:
        hour = paths.floor_hour(each.arrived_at)
        if (each.name, each.fingerprint) not in held and paths.hour_name(hour) in landed:
            found.setdefault(hour, []).append(each.name)
    return dict(sorted(found.items()))


def place_of(settings: Settings, contract: Contract) -> ObjectSource | OktaSource:
    """Return where a source is read from. Raises SourceNotConfigured."""
    place = settings.sources.get(contract.source)
    if place is None or not isinstance(place, _PLACES[contract.transport]):
        raise SourceNotConfigured(contract)
    return place


def settle_of(settings: Settings, contract: Contract) -> timedelta:
    """Return how long after its end an arrival hour is left alone: what the settings say, or one delivery."""
    place = settings.sources.get(contract.source)
    if isinstance(place, OktaSource):
        return timedelta(seconds=place.settle_seconds)
    return contract.cadence if contract.transport == "object_store" else OktaConfig.settle


def _hour_objects(store: Store, contract: Contract, root: Path, hour: datetime) -> list[RawObject]:
    found = list_objects(contract, [root], hour).objects
    elsewhere = _held_elsewhere(store, contract.source)
    mine = [each for each in found if (each.name, each.fingerprint) not in elsewhere]
    _check_none_gone(store, contract.source, paths.hour_name(hour), found)
    return mine


def _held_elsewhere(store: Store, source: str) -> set[tuple[str, str]]:
    """Return (name, change mark) of the objects in batches of files; an object has one hour, so hours share none.

    The contract's version does not matter here: to read those objects again under a new one, `headwater land` does.
    """
    folder = f"{paths.LEDGER}/landing/{source}/"
    batches = [entry.key.removeprefix(folder).removesuffix(".json") for entry in store.list(folder.rstrip("/"))]
    receipts = [ledger.landing(store, source, batch) for batch in batches if not HOUR_BATCH.match(batch)]
    return {
        (mark.name, mark.fingerprint)
        for receipt in receipts
        if receipt is not None and receipt.status == "published"
        for mark in receipt.objects
    }


def _check_none_gone(store: Store, source: str, batch: str, found: Sequence[RawObject]) -> None:
    held = ledger.landing(store, source, batch)
    here = {each.name for each in found}
    gone = [mark.name for mark in held.objects if mark.name not in here] if held else []
    if gone:
        raise ObjectsGone(
            f"{source}: batch {batch} holds {len(gone)} objects that are no longer at the source (first: {gone[0]})."
            " Landing it again would lose their records, so nothing was changed; bronze keeps what it has."
        )


def _okta(place: OktaSource) -> OktaConfig:
    return OktaConfig(
        base_url=place.base_url,
        token_env=place.token_env,
        scheme=place.scheme,
        budget_share=place.budget_share,
        settle=timedelta(seconds=place.settle_seconds),
        retention=timedelta(days=place.retention_days),
    )
