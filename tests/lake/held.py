"""Small lakes for tests of what happens to landed rows later: batches of a few records, and what bronze then shows."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from ingest.contracts import Contract
from ingest.landing import LandingSettings, land
from lake import ledger, paths
from lake.holdings import addresses, held_files
from lake.receipts import LandingReceipt
from lake.registry import rows_select
from lake.store import LocalStore, Store
from tests.ingest.landing.landed import lines, raw, strange

SOURCE = "strange"
Records = Sequence[tuple[int, str]]  # hour of 2026-03-02, label
Rows = Counter[tuple[str, str]]  # batch, label

BROKEN = "{broken"


def record(hour: int, label: str) -> dict[str, object]:
    return {"host": label, "number": hour, "at": f"2026-03-02T{hour:02}:10:00Z", "label": label}


def landing(
    store: Store, batch: str, records: Records, contract: Contract | None = None, broken: int = 0
) -> LandingReceipt:
    """Land records, and as many broken ones, as one batch."""
    data = lines(*(record(*each) for each in records), *(f"{BROKEN} {n} of {batch}" for n in range(broken)))
    return land(contract or strange(), [raw(data, f"{batch}.ndjson")], store, batch, LandingSettings(threads=1))


def expected(batches: Mapping[str, Records]) -> Rows:
    return Counter((batch, label) for batch, records in batches.items() for _, label in records)


def shown(store: Store, room: str = paths.BRONZE) -> Rows:
    """What receipts say that a room holds, read from its files: batch and label (of quarantine, raw text)."""
    files = held_files(ledger.landings(store, SOURCE), room)
    if not files:
        return Counter()
    column = "host" if room == paths.BRONZE else "_raw"
    with duckdb.connect() as con:
        rows = con.execute(f"select _batch, {column} from ({rows_select(addresses(store, files))})").fetchall()
    return Counter((str(batch), str(label)) for batch, label in rows)


def keys(store: Store, *rooms: str) -> list[str]:
    return [each.key for room in rooms for each in store.list(room)]


def copy(store: LocalStore, to: Path) -> LocalStore:
    """A lake with the same files, and the same times."""
    import shutil

    shutil.copytree(store.path, to, copy_function=shutil.copy2)
    return LocalStore(to)


def receipts_without_times(store: Store) -> dict[str, object]:
    times = ("landed_at", "first_landed_at", "seconds", "compacted_at", "erased_at", "bytes", "bytes_after")
    return {each.key: _without(json.loads(store.read(each.key)), times) for each in store.list(paths.LEDGER)}


def _without(value: object, names: Sequence[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value
