"""Receipts of publishing: which build of each hour is in which snapshot of the Iceberg table.

They are written from what the table holds. Publishing decides by the table itself.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from pyiceberg.table import Table

from lake import ledger
from lake.iceberg.data_files import LiveFile, live_files
from lake.iceberg.file_io import key_of
from lake.ledger import decoded
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.published_tables import Slot, TableName, mark
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import Store


class IcebergReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one hour of one source is in an Iceberg table: the mark of its build, its rows, and the snapshot.

    An hour without rows has the mark "" and the snapshot that was current when that was seen. `file`, `bytes` and
    `digest` are of its data file; older receipts, and tables outside the lake, have none.
    """

    source: str
    hour: str
    mark: str
    rows: int
    snapshot_id: int
    noted_at: str
    file: str = ""
    bytes: int = 0
    digest: str = ""


class TableReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot of a table that the receipts of its hours describe, and its manifests: digests by key."""

    table_uuid: str
    snapshot_id: int
    manifests: dict[str, str] = {}


_day = msgspec.json.Decoder(dict[str, IcebergReceipt])
_table = msgspec.json.Decoder(TableReceipt)


def receipts_key(name: TableName, day: str) -> str:
    """Return the key of the receipts of one table and day."""
    return f"{paths.LEDGER}/iceberg/{name}/date={day}.json"


def _table_key(name: TableName) -> str:
    return f"{paths.LEDGER}/iceberg/{name}/table.json"


def receipts_are_current(
    lake: Store, name: TableName, table: Table, builds: Mapping[Slot, BuildReceipt | None]
) -> bool:
    """Whether the receipts describe the table's current snapshot, and it holds these builds and no others.

    A table of years is thousands of files, which need not be listed to find that nothing has changed.
    """
    current, recorded = _current_snapshot(table), _recorded_snapshot(lake, name)
    if current is None or recorded is None or not _is_same(recorded, current):
        return False
    held = {f"{each.source}/{each.hour}": each.mark for each in read_receipts(lake, name) if each.mark}
    expected = {f"{slot.source}/{slot.hour}": _mark(build) for slot, build in builds.items() if _mark(build)}
    return expected == held


def read_receipts(lake: Store, name: TableName) -> Iterator[IcebergReceipt]:
    """Yield all receipts of a table."""
    for key, data in lake.read_all(f"{paths.LEDGER}/iceberg/{name}"):
        if key != _table_key(name):
            yield from decoded(key, data, _day).values()


def _current_snapshot(table: Table) -> TableReceipt | None:
    current = table.current_snapshot()
    uuid = str(table.metadata.table_uuid)
    return TableReceipt(table_uuid=uuid, snapshot_id=current.snapshot_id) if current else None


def _recorded_snapshot(lake: Store, name: TableName) -> TableReceipt | None:
    try:
        return decoded(_table_key(name), lake.read(_table_key(name)), _table)
    except FileNotFoundError:
        return None


def _is_same(one: TableReceipt | None, other: TableReceipt) -> bool:
    return one is not None and (one.table_uuid, one.snapshot_id) == (other.table_uuid, other.snapshot_id)


def _with_manifests(lake: Store, table: Table, current: TableReceipt, known: TableReceipt | None) -> TableReceipt:
    """Return the receipt of a snapshot with the digests of its manifests, if they are in the lake."""
    snapshot, before = table.current_snapshot(), known.manifests if known else {}
    files = [snapshot.manifest_list, *(each.manifest_path for each in snapshot.manifests(table.io))] if snapshot else []
    keys = [key for each in files if (key := _key(lake, each))]
    digests = {key: before[key] if key in before else _digest(lake, key)[1] for key in keys}
    return msgspec.structs.replace(current, manifests=digests)


def _with_digest(lake: Store, receipt: IcebergReceipt) -> IcebergReceipt:
    if not receipt.file:
        return receipt
    size, digest = _digest(lake, receipt.file)
    return msgspec.structs.replace(receipt, bytes=size, digest=digest)


def _digest(lake: Store, key: str) -> tuple[int, str]:
    with lake.open(key) as file:
        digest = ledger.digest(file)
        return file.seek(0, 2), digest


def _key(lake: Store, place: str) -> str:
    """Return the key of an address in the lake; "" of one elsewhere."""
    try:
        return key_of(lake, place)
    except ValueError:
        return ""


def _mark(build: BuildReceipt | None) -> str:
    return mark(build) if build is not None and build.file else ""


def write_receipts(lake: Store, name: TableName, table: Table, builds: Mapping[Slot, BuildReceipt | None]) -> None:
    """Write the receipts of what the table holds and no receipt says yet; hours that left the lake become empty."""
    live, current = live_files(table), _current_snapshot(table)
    receipts = _receipts(lake, table, live, builds)
    for each in read_receipts(lake, name):
        slot = Slot(each.source, each.hour)
        if each.mark and slot not in live and current is not None:
            receipts[slot] = msgspec.structs.replace(each, mark="", rows=0, snapshot_id=current.snapshot_id, file="")
    days: dict[str, dict[str, IcebergReceipt]] = {}
    for slot, receipt in receipts.items():
        days.setdefault(slot.day, {})[f"{slot.source}/{slot.hour}"] = receipt

    summed: dict[str, IcebergReceipt] = {}

    def plan() -> Change:
        texts = []
        for day, news in sorted(days.items()):
            known = _read(lake, receipts_key(name, day))
            fresh = {key: each for key, each in news.items() if not _says(known.get(key), each)}
            for key in fresh.keys() - summed.keys():
                summed[key] = _with_digest(lake, fresh[key])
            fresh = {key: summed[key] for key in fresh}
            if fresh:
                text = msgspec.json.encode(dict(sorted((known | fresh).items()))).decode()
                texts.append((receipts_key(name, day), text))
        recorded = _recorded_snapshot(lake, name)
        if current is not None and not _is_same(recorded, current):
            whole = _with_manifests(lake, table, current, recorded)
            texts.append((_table_key(name), msgspec.json.encode(whole).decode()))
        return Change(receipts=tuple(texts))

    if plan().receipts:
        publish(lake, plan)


def _receipts(
    lake: Store, table: Table, held: Mapping[Slot, list[LiveFile]], builds: Mapping[Slot, BuildReceipt | None]
) -> dict[Slot, IcebergReceipt]:
    current = table.current_snapshot()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = {}
    for slot, build in builds.items():
        files = held.get(slot, [])
        expected = [_mark(build)] if _mark(build) else []
        if [each.mark for each in files] == expected and current is not None:
            found[slot] = IcebergReceipt(
                source=slot.source,
                hour=slot.hour,
                mark=_mark(build),
                rows=sum(each.file.record_count for each in files),
                snapshot_id=files[0].snapshot_id if files else current.snapshot_id,
                noted_at=now,
                file=_key(lake, files[0].file.file_path) if files else "",
            )
    return found


def _says(held: IcebergReceipt | None, fresh: IcebergReceipt) -> bool:
    same = held is not None and (held.mark, held.rows) == (fresh.mark, fresh.rows)
    return same and held is not None and (not fresh.mark or held.snapshot_id == fresh.snapshot_id)


def _read(lake: Store, key: str) -> dict[str, IcebergReceipt]:
    try:
        return decoded(key, lake.read(key), _day)
    except FileNotFoundError:
        return {}
