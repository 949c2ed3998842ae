"""The status of Iceberg tables: what each holds, and how far it is behind the lake."""

from dataclasses import dataclass

from pyiceberg.table import Table

from lake.iceberg.catalogue import Place, find, open_catalogue, published_tables
from lake.iceberg.data_files import live_files
from lake.iceberg.publishing import Hours, changes
from lake.ledger.published_tables import TableName, newest_builds
from lake.storage.store import Store


@dataclass(frozen=True)
class TableStatus:
    """One table: its name in the catalogue, its snapshots and rows, and the event hours that are not current.

    `metadata` is the address of its current metadata file, which DuckDB's `iceberg_scan` takes; "" before the first
    publishing.
    """

    table: str
    name: str
    snapshots: int
    snapshot_id: int | None
    rows: int
    stale_hours: int
    metadata: str


def table_status(lake: Store, place: Place) -> list[TableStatus]:
    """Return the status of every table that was built or published. Raises IcebergError."""
    catalogue, builds = open_catalogue(place), newest_builds(lake)
    names = sorted({*builds, *(name for name, _ in published_tables(catalogue, place))})
    return [_status(name, place, find(catalogue, place, name), builds.get(name, {})) for name in names]


def _status(name: TableName, place: Place, table: Table | None, builds: Hours) -> TableStatus:
    current = table.current_snapshot() if table is not None else None
    totals = current.summary.additional_properties if current is not None and current.summary else {}
    return TableStatus(
        table=str(name),
        name=".".join(place.identifier(name)),
        snapshots=len(table.snapshots()) if table is not None else 0,
        snapshot_id=current.snapshot_id if current else None,
        rows=int(totals.get("total-records", 0)),
        stale_hours=len({slot.hour for slot in changes(builds, live_files(table))}),
        metadata=table.metadata_location if table is not None else "",
    )
