"""Which batches hold which objects, without reading the receipts of every hour there ever was.

What belongs here: batch names by kind, and which receipts can hold objects of some time. What does not: deciding what
to read (`history`, `announced`, `orchestration.steps.collect`).

A batch of an hour holds what arrived in that hour; one that a queue announced holds what arrived before it was made,
and its name tells when that was; one of files, which somebody landed by hand, may hold anything.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from lake import ledger
from lake.ledger.receipts import LandingReceipt
from lake.storage import paths
from lake.storage.store import Store

HOUR_BATCH = re.compile(r"\d{8}T\d{2}\Z")
_QUEUE_BATCH = re.compile(r"queue-(\d{8}T\d{2})\d{4}-[0-9a-f]{12}\Z")
_HOUR = timedelta(hours=1)  # by which clocks may differ

Mark = tuple[str, str]  # an object's name and fingerprint


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
        told = batch if HOUR_BATCH.match(batch) else made[1] if made else None
        if told == batch and not hours:
            continue
        if told is None or datetime.strptime(told, "%Y%m%dT%H") >= arrived - _HOUR:
            receipt = ledger.landing(store, source, batch)
            if receipt is not None:
                yield receipt


def marks(receipt: LandingReceipt) -> set[Mark]:
    """Return the objects that a batch holds."""
    return {(mark.name, mark.fingerprint) for mark in receipt.objects}
