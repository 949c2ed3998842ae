"""Landing in tests: a contract with every kind of field, objects made of bytes, and what became of their records."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.contracts import Contract, load_contract
from ingest.landing import LandingSettings, land
from ingest.objects import RawObject
from lake.base.sql import at_hand
from lake.ledger import LandingReceipt
from lake.storage.publish import open_store
from lake.storage.store import Store

ARRIVED = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
GOOD = {"host": "A", "number": 1, "at": "2026-03-02T05:00:00Z"}


def strange(change: Callable[[str], str] = lambda text: text, folder: Path | None = None) -> Contract:
    """The contract of every kind of field; `change` edits its text, which is then written to `folder`."""
    return _contract("strange.yaml", change, folder)


def few(change: Callable[[str], str] = lambda text: text, folder: Path | None = None) -> Contract:
    """The contract of the same source with a few fields, with which landing takes a third of the time."""
    return _contract("few.yaml", change, folder)


def _contract(name: str, change: Callable[[str], str], folder: Path | None) -> Contract:
    path = Path(__file__).parent / name
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

    def bronze(self, columns: str = "*", of: str = "") -> list[tuple[Any, ...]]:
        """Rows of bronze in record order; of one object, if it is named."""
        return self._rows("bronze", columns, of)

    def quarantine(self, columns: str = "reason, field, expected, found", of: str = "") -> list[tuple[Any, ...]]:
        """Rows of quarantine in record order; of one object, if it is named."""
        return self._rows("quarantine", columns, of)

    def counts(self, of: str) -> tuple[int, int]:
        """Records read and quarantined of one object."""
        (mark,) = [each for each in self.receipt.objects if each.name == of]
        return mark.read, mark.quarantined

    def _rows(self, room: str, columns: str, of: str) -> list[tuple[Any, ...]]:
        files = [self.store.url(entry.key) for entry in self.store.list(room)]
        if not files:
            return []
        with at_hand() as con:
            return con.execute(
                f"select {columns} from read_parquet({files!r}, hive_partitioning = false)"
                " where $1 in ('', _source_object) order by _source_object, _source_row",
                [of],
            ).fetchall()


def landed(folder: Path, data: bytes, contract: Contract | None = None, **settings: Any) -> Landed:
    """Land one object as batch `b` in a lake under `folder`."""
    store = open_store(folder / "lake")
    receipt = land(contract or strange(), [raw(data)], store, "b", LandingSettings(**settings))
    return Landed(store, receipt)


def landed_together(
    folder: Path, objects: Mapping[str, bytes] | Iterable[bytes], contract: Contract | None = None
) -> Landed:
    """Land many objects as one batch, by name or numbered from "0": one statement is dear, and rows are not."""
    named = objects if isinstance(objects, Mapping) else {str(at): data for at, data in enumerate(objects)}
    store = open_store(folder / "lake")
    return Landed(store, land(contract or strange(), [raw(data, name) for name, data in named.items()], store, "b"))


def files_of(store: Store) -> dict[str, tuple[int, float]]:
    """Every file of a lake, with inode and time: equal before and after when nothing was written."""
    found = {}
    for entry in store.list():
        stat = Path(store.url(entry.key)).stat()
        found[entry.key] = (stat.st_ino, stat.st_mtime)
    return found


def watched(data: bytes, name: str, opened: list[str], mark: str = "1") -> RawObject:
    """An object that notes when it is opened."""
    whole = raw(data, name, mark)

    def opening() -> object:
        opened.append(name)
        return whole.open()

    return replace(whole, open=opening)  # type: ignore[arg-type]
