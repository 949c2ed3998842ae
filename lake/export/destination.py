"""What a destination is: takes a partition of a table whole, and says what it holds.

What belongs here: the protocol, and what destinations are given. What does not: any one of them
(`lake.export.destinations`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from lake import ledger
from lake.storage import paths
from lake.storage.store import Store

if TYPE_CHECKING:
    from lake.export.rows import Reader

EVENT_ID = "_event_id"  # tells the rows of a table apart, the same whenever the partition is pushed


@dataclass(frozen=True, order=True)
class Partition:
    """One event hour (naive UTC, its first instant) of a table."""

    hour: datetime

    @classmethod
    def of(cls, text: str) -> "Partition":
        """Return the partition of an hour text, `YYYY-MM-DDTHH`."""
        return cls(ledger.hour(text))

    @property
    def date(self) -> date:
        """Return the day of the hour."""
        return self.hour.date()

    @property
    def folder(self) -> str:
        """Return `date=YYYY-MM-DD/hour=HH`."""
        return paths.hour_folder(self.hour)

    def __str__(self) -> str:
        return ledger.hour_text(self.hour)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination says it holds of a partition: rows, and the checksum over their event ids.

    The checksum is the sum, over the rows, of the first 8 hexadecimal digits of the MD5 of `_event_id` as a number.
    """

    rows: int
    checksum: int


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a destination refused by itself, with its own code and words. The row is in the lake."""

    event_id: str
    source: str
    code: str
    said: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What one push did: rows and bytes sent, what came back, and how that is proven.

    `left_behind` are rows that an earlier push sent, that the hour has no longer, and the destination cannot remove.
    `proof` is `query` (the destination was asked), `acknowledgements` (it confirmed each batch) or `file` (the file was
    read back). `sent` are rows of this push alone, where earlier ones already stood. `remote` names what the
    destination calls it (a job, a query), `notes` what a person should know.
    """

    held: Held
    bytes: int
    proof: str
    sent: int | None = None
    left_behind: int = 0
    refused: Sequence[Refusal] = ()
    remote: dict[str, str] = {}
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a destination works: the lake, a folder of this machine for as long as it is open, and its limits."""

    lake: Store
    work: Path
    memory_bytes: int = 1 << 30
    threads: int = 2


class Destination(Protocol):
    """One configured destination. A partition is replaced as a whole: pushing it twice is pushing it once."""

    @property
    def identity(self) -> str:
        """Return what makes it this destination and no other (account, database, folder and format), without secrets.

        When it changes, everything is behind. It is part of receipts and shown to people.
        """
        ...

    def push(self, table: str, partition: Partition, reader: "Reader") -> Delivery:
        """Make the destination's partition equal to the reader's rows, also when there are none, and read it back.

        Raises:
            SchemaConflict: nothing was changed.
            DestinationDenied, DestinationUnavailable, RowsRefused: the partition is as it was, or, where the outcome
                is unknown, as it was or as it should be; pushing again settles it.
        """
        ...

    def read_back(self, table: str, partition: Partition) -> Held | None:
        """Return what the destination holds of a partition; None where it cannot be asked."""
        ...

    def close(self) -> None:
        """End connections."""
        ...
