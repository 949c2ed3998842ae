"""Publishing: every Iceberg table comes to hold what the build receipts say.

What belongs here: which tables and days, one after the other. What does not: how a day is written and committed
(`snapshots`), or removing what is no longer needed (`upkeep`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from lake.iceberg import upkeep
from lake.iceberg.catalogue import IcebergError, Place, chosen, find, make, open_catalogue, published_tables
from lake.iceberg.data_files import PARTITIONS, Rows
from lake.iceberg.receipts import note, says_current
from lake.iceberg.schema import assigned
from lake.iceberg.snapshots import Hours, Span, Step, changes, in_range, publish_day
from lake.ledger.published_tables import Slot, TableName, wanted
from lake.ledger.staleness import lost_file
from lake.storage.publish import Workplace
from lake.storage.store import Store


@dataclass(frozen=True)
class Published:
    """What publishing one table did: its snapshots, the hours in them, and hours left for the next time with why.

    `rows` are those of the new files; `expired` counts old snapshots that were ended; `failed` says why it stopped.
    """

    name: TableName
    snapshots: tuple[int, ...] = ()
    hours: tuple[Slot, ...] = ()
    rows: int = 0
    left: dict[Slot, str] = field(default_factory=dict)
    expired: int = 0
    failed: str = ""


def publish_tables(
    lake: Store,
    place: Place,
    names: Iterable[str] | None = None,
    first: str | None = None,
    last: str | None = None,
) -> list[Published]:
    """Publish what has changed of all tables, or those named (`authentication`, `silver/authentication`).

    `first` and `last` are hour texts, both included. Tables without a change are told with no snapshots. A table that
    fails (`failed`) stops no other; what it has published until then stands.

    Raises:
        IcebergError: the catalogue cannot be opened, or a name is no table.
    """
    catalogue = open_catalogue(place)
    builds = wanted(lake)
    known = sorted({*builds, *(name for name, _ in published_tables(catalogue, place))})
    span = (first, last)
    done = []
    for name in chosen(known, names):
        try:
            done.append(_publish(lake, place, catalogue, name, in_range(builds.get(name, {}), span), span))
        except IcebergError as problem:
            done.append(Published(name, failed=str(problem)))
    return done


def _publish(lake: Store, place: Place, catalogue: Catalog, name: TableName, builds: Hours, span: Span) -> Published:
    done = Published(name)
    with lake.lock(f"iceberg-{name.layer}-{name.table}") as lease, Workplace(place.store, "iceberg") as work:
        table = find(catalogue, place, name)
        if table is not None and span == (None, None) and says_current(lake, name, table, builds):
            return replace(done, expired=upkeep.expire_by_age(place, table))
        for day in sorted({slot.day for slot in changes(builds, table, span)}):
            table = table or _made(lake, place, catalogue, name, builds)
            if table is not None:
                new = publish_day(Step(lake, place, table, lease, work), day, builds, span)
                done = replace(
                    done,
                    snapshots=(*done.snapshots, *new.snapshots),
                    hours=(*done.hours, *new.hours),
                    rows=done.rows + new.rows,
                    left=done.left | new.left,
                )
        if table is not None:
            note(lake, name, table, builds)
            done = replace(done, expired=upkeep.expire_by_age(place, table))
    return done


def _made(lake: Store, place: Place, catalogue: Catalog, name: TableName, builds: Hours) -> Table | None:
    """Return a new table with the columns of its first file; None while the lake has no row of it."""
    held = [each for _, each in sorted(builds.items()) if each is not None and each.file]
    first = next((each.file for each in held if not lost_file(each, lake.info)), None)
    if first is None:
        return None
    partitions = tuple(each for each in PARTITIONS if f"/{each}=" in first)
    rows = Rows(lake.open(first), dict.fromkeys(partitions, ""))
    return make(catalogue, place, name, assigned(rows.columns), partitions)
