"""What the lake holds of CloudTrail's log files, by their names: batches and the marks of their objects.

What belongs here: reading receipts of landing for a span of hours. What does not: judging log files (`digest_logs`).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from ingest.landing.batches import receipts_since
from lake import ledger
from lake.ledger.receipts import LandingReceipt, ObjectMark
from lake.storage import paths
from lake.storage.store import Store

SOURCE = "aws_cloudtrail"
_LEEWAY = timedelta(hours=1)


@dataclass
class Landed:
    """Objects that batches hold, by file name (CloudTrail's are unique), and the arrival hours that have landed."""

    objects: dict[str, list[tuple[str, ObjectMark]]] = field(default_factory=dict)
    hours: set[str] = field(default_factory=set)

    def take(self, receipt: LandingReceipt) -> None:
        """Add what a batch holds; one that waits for a decision holds nothing yet."""
        if receipt.status != "published":
            return
        self.hours.add(receipt.batch)
        for mark in receipt.objects:
            self.objects.setdefault(PurePosixPath(mark.name).name, []).append((receipt.batch, mark))

    def of(self, name: str) -> list[tuple[str, ObjectMark]]:
        """Return (batch, mark) of every batch that holds a file."""
        return self.objects.get(PurePosixPath(name).name, [])

    def batches(self, name: str) -> tuple[str, ...]:
        """Return the batches that hold a file."""
        return tuple(batch for batch, _ in self.of(name))

    def has_hour_of(self, at: datetime | None) -> bool:
        """Return whether the arrival hour of a delivery has landed as a batch."""
        return at is not None and paths.hour_name(paths.floor_hour(at)) in self.hours


def landed(store: Store, start: datetime, end: datetime) -> Landed:
    """Return what batches hold that may have read objects of a span of arrival hours (UTC, aware)."""
    found = Landed()
    for hour in paths.hours_between(start - _LEEWAY, end + _LEEWAY):
        receipt = ledger.landing(store, SOURCE, paths.hour_name(hour))
        if receipt is not None:
            found.take(receipt)
    for receipt in receipts_since(store, SOURCE, paths.floor_hour(start), hours=False):
        found.take(receipt)
    return found
