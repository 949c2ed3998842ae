"""Receipts of publishing: which build of each hour is in which snapshot of the Iceberg table.

What belongs here: writing them as the table says. What does not: deciding by them; the table itself is asked.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from pyiceberg.table import Table

from lake import paths
from lake.iceberg.held import held_files
from lake.iceberg.wanted import Slot, TableName, mark
from lake.publish import Change, publish
from lake.receipts import BuildReceipt
from lake.store import Store


class IcebergReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one hour of one source is in an Iceberg table: the mark of its build, its rows, and the snapshot.

    An hour without rows has the mark "" and the snapshot that was current when that was seen.
    """

    source: str
    hour: str
    mark: str
    rows: int
    snapshot_id: int
    noted_at: str


_day = msgspec.json.Decoder(dict[str, IcebergReceipt])


def receipts_key(name: TableName, day: str) -> str:
    """Return the key of the receipts of one table and day."""
    return f"{paths.LEDGER}/iceberg/{name}/date={day}.json"


def note(lake: Store, name: TableName, table: Table, builds: Mapping[Slot, BuildReceipt | None]) -> int:
    """Write the receipts of what the table holds and no receipt says yet; return how many were written."""
    news: dict[str, dict[str, IcebergReceipt]] = {}
    for slot, receipt in _receipts(table, builds).items():
        news.setdefault(slot.day, {})[f"{slot.source}/{slot.hour}"] = receipt
    written = 0

    def plan() -> Change:
        nonlocal written
        written, texts = 0, []
        for day, told in sorted(news.items()):
            held = _read(lake, receipts_key(name, day))
            fresh = {key: each for key, each in told.items() if not _says(held.get(key), each)}
            if fresh:
                written += len(fresh)
                text = msgspec.json.encode(dict(sorted((held | fresh).items()))).decode()
                texts.append((receipts_key(name, day), text))
        return Change(receipts=tuple(texts))

    if plan().receipts:
        publish(lake, plan)
    return written


def _receipts(table: Table, builds: Mapping[Slot, BuildReceipt | None]) -> dict[Slot, IcebergReceipt]:
    held, current = held_files(table), table.current_snapshot()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = {}
    for slot, build in builds.items():
        files = held.get(slot, [])
        expected = [mark(build)] if build is not None and build.file else []
        if [each.mark for each in files] == expected and current is not None:
            found[slot] = IcebergReceipt(
                source=slot.source,
                hour=slot.hour,
                mark="".join(expected),
                rows=sum(each.file.record_count for each in files),
                snapshot_id=files[0].snapshot_id if files else current.snapshot_id,
                noted_at=now,
            )
    return found


def _says(held: IcebergReceipt | None, fresh: IcebergReceipt) -> bool:
    same = held is not None and (held.mark, held.rows) == (fresh.mark, fresh.rows)
    return same and held is not None and (not fresh.mark or held.snapshot_id == fresh.snapshot_id)


def _read(lake: Store, key: str) -> dict[str, IcebergReceipt]:
    try:
        return _day.decode(lake.read(key))
    except FileNotFoundError:
        return {}
