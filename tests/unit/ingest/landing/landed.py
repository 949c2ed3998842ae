"""Landing in tests: a contract with every kind of field, objects made of bytes, and what became of their records."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ingest.contracts import Contract, load_contract
from ingest.landing import LandingSettings, land
from ingest.objects import RawObject
from lake.ledger.receipts import LandingReceipt
from lake.storage.open import open_store
from lake.storage.store import Store

ARRIVED = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
GOOD = {"host": "A", "number": 1, "at": "2026-03-02T05:00:00Z"}


def strange(change: Callable[[str], str] = lambda text: text, folder: Path | None = None) -> Contract:
    """The contract of every kind of field; `change` edits its text, which is then written to `folder`."""
    path = Path(__file__).parent / "strange.yaml"
    if folder is None:
        return load_contract(path)
    copy = folder / "strange.yaml"
    copy.write_text(change(path.read_text()))
    return load_contract(copy)


def raw(data: bytes, name: str = "one.ndjson", mark: str = "") -> RawObject:
    """An object of some bytes."""
    return RawObject(name, lambda: io.BytesIO(data), len(data), ARRIVED, mark or f"{len(data)}-{hash(data)}")


def lines(*records: object) -> bytes:
    """Records as NDJSON; texts stay what they are."""
    return b"".join((each if isinstance(each, str) else json.dumps(each)).encode() + b"\n" for each in records)


@dataclass
class Landed:
    """A lake after landing one batch."""

    store: Store
    receipt: LandingReceipt

    def bronze(self, columns: str = "*") -> list[tuple[Any, ...]]:
        """Rows of bronze in record order."""
        return self._rows("bronze", columns)

    def quarantine(self, columns: str = "reason, field, expected, found") -> list[tuple[Any, ...]]:
        """Rows of quarantine in record order."""
        return self._rows("quarantine", columns)

    def _rows(self, room: str, columns: str) -> list[tuple[Any, ...]]:
        files = [self.store.url(entry.key) for entry in self.store.list(room)]
        if not files:
            return []
        with duckdb.connect() as con:
            return con.execute(
                f"select {columns} from read_parquet({files!r}, hive_partitioning = false)"
                " order by _source_object, _source_row"
            ).fetchall()


def landed(folder: Path, data: bytes, contract: Contract | None = None, **settings: Any) -> Landed:
    """Land one object as batch `b` in a lake under `folder`."""
    store = open_store(folder / "lake")
    receipt = land(contract or strange(), [raw(data)], store, "b", LandingSettings(**settings))
    return Landed(store, receipt)


def files_of(store: Store) -> dict[str, tuple[int, float]]:
    """Every file of a lake, with inode and time: equal before and after when nothing was written."""
    found = {}
    for entry in store.list():
        stat = Path(store.url(entry.key)).stat()
        found[entry.key] = (stat.st_ino, stat.st_mtime)
    return found
