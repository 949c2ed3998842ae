"""Feeds, and the receipts of their loads.

Of every feed `ledger/reference/<table>/<feed>/current.json` tells of the newest load and names the files that hold the
table's rows now. Beside it lies one receipt for every load that changed a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ingest.reference.tables import TABLES
from lake.base.errors import HeadwaterError, warn_once
from lake.ledger import BrokenReceipt, decoded
from lake.storage import paths
from lake.storage.store import Store

REJECTS = "rejects"
FULL, PARTIAL = "full", "partial"


class FeedError(HeadwaterError, ValueError):
    """A feed cannot be loaded; one line that says what is wrong and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Feed:
    """One feed: its name in the lake, the table it fills, and who makes it.

    `mode`: `full` when a snapshot holds everything that the feed says, so that what is missing has ended; `partial`
    when it holds only what was added or changed. `most_closed_share`: a full snapshot that would close a larger share
    of the open rows is refused, for a truncated download looks the same. Without a `provider` it is the feed's name.
    """

    name: str
    table: str
    provider: str = ""
    mode: str = FULL
    format: str = ""
    most_closed_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse names that cannot be part of a key. Raises FeedError, BadName."""
        paths.checked(self.name)
        object.__setattr__(self, "provider", self.provider or self.name)
        if self.table not in TABLES:
            raise FeedError(f"feed {self.name}: no table {self.table!r} (known: {', '.join(TABLES)})")
        if self.mode not in (FULL, PARTIAL):
            raise FeedError(f"feed {self.name}: mode {self.mode!r} (expected {FULL} or {PARTIAL})")

    @property
    def folder(self) -> str:
        """Return the folder of the feed's rows."""
        return f"{paths.REFERENCE}/{self.table}/feed={self.name}"

    @property
    def rejects_folder(self) -> str:
        """Return the folder of what the feed gave that is no entry."""
        return f"{paths.REFERENCE}/{REJECTS}/{self.table}/feed={self.name}"


class LoadReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest load of a feed did, and which files hold the feed's rows since. Times are naive UTC, ISO 8601.

    Conserved: read = opened + changed + extended + unchanged + duplicates + the sum of `rejected`. Of these, `opened`
    are entries that had no row, or none that was open; `changed` closed one and opened another; of `extended` only the
    end that the provider gives has moved; `duplicates` came again as they were. `closed` are rows whose entry the feed
    no longer has. `unusable` are names and addresses of entries that cannot be joined by; the entries were loaded.
    `version` is that of the rows: it stays when a load changes nothing. `files` are keys with their bytes. `content` is
    the SHA-256 of the snapshot `source` and, behind a colon, size and time of its file; `confirmed` has those of
    snapshots since that changed no row, by name.
    """

    table: str
    feed: str
    provider: str
    mode: str
    format: str
    version: str
    sha256: str
    read: int
    opened: int
    changed: int
    closed: int
    extended: int
    unchanged: int
    duplicates: int
    unusable: int
    rejected: dict[str, int]
    rows: int
    rows_open: int
    files: dict[str, int]
    rejects_file: str
    loader: int
    source: str = ""
    as_of: str = ""
    loaded_at: str = ""
    skipped: dict[str, int] = {}
    content: str = ""
    confirmed: dict[str, str] = {}
    digests: dict[str, str] = {}  # of the files; older receipts have none

    @property
    def changes(self) -> int:
        """Return how many rows the load opened, closed or moved the end of."""
        return self.opened + self.changed + self.closed + self.extended

    @property
    def newest(self) -> datetime:
        """Return the time of the newest snapshot (naive UTC)."""
        return datetime.fromisoformat(self.as_of)

    def file(self, name: str) -> str:
        """Return the key of the current file of that name; empty when the feed has none."""
        return next((key for key in self.files if key.endswith(f"/{name}")), "")


_load = msgspec.json.Decoder(LoadReceipt)


def receipts_folder(table: str, feed: str) -> str:
    """Return the folder of a feed's receipts."""
    return f"{paths.LEDGER}/{paths.REFERENCE}/{table}/{paths.checked(feed)}"


def current_key(table: str, feed: str) -> str:
    """Return the key of the receipt that names the feed's current files."""
    return f"{receipts_folder(table, feed)}/current.json"


def load_key(table: str, feed: str, version: str) -> str:
    """Return the key of the receipt of one load that changed something."""
    return f"{receipts_folder(table, feed)}/{paths.checked(version, paths.BATCH)}.json"


def encoded(receipt: LoadReceipt) -> str:
    """Return the receipt as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(receipt), indent=1).decode()


def newest_load(store: Store, table: str, feed: str) -> LoadReceipt | None:
    """Return the receipt of the newest load of a feed, or None when it was never loaded. Raises BrokenReceipt."""
    key = current_key(table, feed)
    try:
        return decoded(key, store.read(key), _load)
    except FileNotFoundError:
        return None
    except BrokenReceipt as problem:
        changes = loads(store, table, feed)  # the newest of them names the same files
        if not changes:
            raise
        warn_once(f"{problem}; until then what changed last counts, as of {changes[-1].as_of}Z")
        return changes[-1]


def newest_loads(store: Store, table: str = "") -> Iterator[LoadReceipt]:
    """Yield the receipt of the newest load of every feed, of one table or of all, by table and name."""
    for each in (table,) if table else TABLES:
        for feed in store.folders(f"{paths.LEDGER}/{paths.REFERENCE}/{each}"):
            found = newest_load(store, each, feed)
            if found is not None:
                yield found


def loads(store: Store, table: str, feed: str) -> list[LoadReceipt]:
    """Return the receipts of the loads of a feed that changed something, oldest first."""
    current = current_key(table, feed)
    held = [decoded(key, data, _load) for key, data in store.read_all(receipts_folder(table, feed)) if key != current]
    return sorted(held, key=lambda receipt: receipt.as_of)
