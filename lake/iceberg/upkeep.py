"""Upkeep: old snapshots end, and files that no snapshot needs are removed.

Called while the table's lock in the lake is held, so a data file of Headwater's that no snapshot names is of a process
that died, or of a snapshot that has ended; those of other programs are left alone.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from lake.iceberg.catalogue import IcebergError, Place, chosen, open_catalogue, published_tables
from lake.iceberg.data_files import mark_of, referenced
from lake.iceberg.file_io import address, key_of
from lake.ledger.published_tables import TableName
from lake.storage.store import ObjectInfo, Store

_ONCE_A = timedelta(days=1)  # listing a table's files every hour would cost more than it frees
_METADATA_IN_USE = timedelta(days=1)  # an unnamed manifest may belong to a commit that another program is making


def expire_by_age(place: Place, table: Table, now: datetime | None = None) -> int:
    """End the snapshots that are older than the place keeps them, at most once a day; return how many there were."""
    before = (now or datetime.now(UTC)) - place.keep
    oldest = min((each.timestamp_ms for each in past(table)), default=None)
    if oldest is None or oldest >= _milliseconds(before - _ONCE_A):
        return 0
    return expire(place, table, before)


def expire(place: Place, table: Table, before: datetime | None = None) -> int:
    """End the snapshots made before a time (all, without one), except the current one and those with a tag or branch.

    Returns how many ended. Files that only they needed are removed.
    """
    until = None if before is None else _milliseconds(before)
    ids = [each.snapshot_id for each in past(table) if until is None or each.timestamp_ms < until]
    if ids:
        table.maintenance.expire_snapshots().by_ids(ids).commit()
        table.refresh()
    remove_unreferenced(place, table)
    return len(ids)


def past(table: Table) -> list:  # type: ignore[type-arg]
    """Return the snapshots that nothing protects: neither current, nor named by a tag or a branch."""
    named = {each.snapshot_id for each in table.metadata.refs.values()}
    return [each for each in table.snapshots() if each.snapshot_id not in named]


def remove_unreferenced(place: Place, table: Table) -> int:
    """Remove Headwater's files that no snapshot of a table needs; return how many there were."""
    store, folder = place.store, key_of(place.store, table.location())
    needed = referenced(table)
    current = store.info(key_of(store, table.metadata_location))
    data = [each for each in store.list(f"{folder}/data") if mark_of(each.key)]
    old = [each for each in store.list(f"{folder}/metadata") if current and _is_old(each, current)]
    gone = [each.key for each in (*data, *old) if address(store, each.key) not in needed]
    store.delete_many(gone)
    return len(gone)


def _is_old(held: ObjectInfo, current: ObjectInfo) -> bool:
    return current.modified_at - held.modified_at > _METADATA_IN_USE


def forget_history(
    lake: Store,
    place: Place,
    names: Iterable[str] | None = None,
    told: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> dict[TableName, int]:
    """End all snapshots but the current one of all tables, or those named, and remove their files: erased is gone.

    Publish first: the current snapshot is what the table held when it was last published. Returns how many snapshots
    ended, by table. `told` gets the table, how many are done, and of how many.

    Raises:
        IcebergError: a tag or a branch keeps an older snapshot. It is named; remove it and call again.
    """
    catalogue = open_catalogue(place)
    done = dict[TableName, int]()
    wanted = [*chosen(sorted(name for name, _ in published_tables(catalogue, place)), names)]
    for name in wanted:
        told(f"forgetting the past of {name}, tables", len(done), len(wanted))
        with lake.lock(f"iceberg-{name.layer}-{name.table}"):
            done[name] = _forget(place, catalogue, name)
    return done


def _forget(place: Place, catalogue: Catalog, name: TableName) -> int:
    table = catalogue.load_table(place.identifier(name))
    ended = expire(place, table)
    current = table.current_snapshot()
    kept = [ref for ref, each in table.metadata.refs.items() if current and each.snapshot_id != current.snapshot_id]
    if kept:
        raise IcebergError(f"{name}: {', '.join(kept)} keeps an older snapshot, whose rows are still there; remove it")
    return ended


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
