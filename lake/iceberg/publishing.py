"""Publishing: Iceberg tables come to hold what the build receipts say, the changed hours of a day in one snapshot.

A reader sees the old rows of an hour or the new ones. A process killed before its commit leaves files that nobody
reads; one killed after it has published, which the next one sees in the names of the table's files. A commit that
another writer overtook is planned again on what that one left.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from lake.iceberg import upkeep
from lake.iceberg.catalogue import IcebergError, Place, chosen, find, make, open_catalogue, published_tables
from lake.iceberg.data_files import PARTITIONS, Fit, LiveFile, Rows, Written, assigned, evolve, live_files, new_name
from lake.iceberg.file_io import address, key_of
from lake.iceberg.receipts import receipts_are_current, write_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.published_tables import Slot, TableName, mark, newest_builds
from lake.ledger.staleness import files_there, lost_file
from lake.storage.publish import Workplace
from lake.storage.store import Lease, Store

BUILDS = "headwater.builds"  # summary property of a snapshot: <source>/<hour>=<mark>, or =empty, separated by commas
_ATTEMPTS = 8

Hours = Mapping[Slot, BuildReceipt | None]  # None: the lake no longer has the hour
Span = tuple[str | None, str | None]  # first and last hour text, both included
Told = Callable[[str, int, int], None]


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
    told: Told = lambda what, done, of: None,
) -> list[Published]:
    """Publish what has changed of all tables, or those named (`authentication`, `silver/authentication`).

    `first` and `last` are hour texts, both included. Tables without a change are told with no snapshots. A table that
    fails (`failed`) stops no other; what it has published until then stands. `told` gets the table and day that is
    published now, how many tables are done, and of how many.

    Raises:
        IcebergError: the catalogue cannot be opened, or a name is no table.
    """
    catalogue = open_catalogue(place)
    builds = newest_builds(lake)
    known = sorted({*builds, *(name for name, _ in published_tables(catalogue, place))})
    span = (first, last)
    done, wanted = list[Published](), [*chosen(known, names)]
    for name in wanted:

        def tell(day: str, what: str = str(name)) -> None:
            told(f"publishing {what} {day}".rstrip() + ", tables", len(done), len(wanted))

        tell("")
        try:
            done.append(_publish(lake, place, catalogue, name, in_range(builds.get(name, {}), span), span, tell))
        except IcebergError as problem:
            done.append(Published(name, failed=str(problem)))
    return done


def _publish(
    lake: Store,
    place: Place,
    catalogue: Catalog,
    name: TableName,
    builds: Hours,
    span: Span,
    tell: Callable[[str], None],
) -> Published:
    done = Published(name)
    with lake.lock(f"iceberg-{name.layer}-{name.table}") as lease, Workplace(place.store, "iceberg") as work:
        table = find(catalogue, place, name)
        if table is not None and span == (None, None) and receipts_are_current(lake, name, table, builds):
            return replace(done, expired=upkeep.expire_by_age(place, table))
        for day in sorted({slot.day for slot in changes(builds, live_files(table), span)}):
            tell(day)
            table = table or _made(lake, place, catalogue, name, builds)
            if table is not None:
                done = _publish_day(Step(lake, place, table, lease, work), day, builds, span, done)
        if table is not None:
            write_receipts(lake, name, table, builds)
            done = replace(done, expired=upkeep.expire_by_age(place, table))
    return done


def _made(lake: Store, place: Place, catalogue: Catalog, name: TableName, builds: Hours) -> Table | None:
    """Return a new table with the columns of its first file; None while the lake has no row of it."""
    held = [each for _, each in sorted(builds.items()) if each is not None and each.file]
    first = next((each.file for each in held if not lost_file(each, files_there(lake, [{"": each}]))), None)
    if first is None:
        return None
    partitions = tuple(each for each in PARTITIONS if f"/{each}=" in first)
    rows = Rows(lake.open(first), dict.fromkeys(partitions, ""))
    return make(catalogue, place, name, assigned(rows.columns), partitions)


@dataclass(frozen=True)
class Step:
    """What publishing one table works with."""

    lake: Store
    place: Place
    table: Table
    lease: Lease
    work: Workplace


def in_range(builds: Hours, span: Span) -> Hours:
    """Return the hours that lie in a span."""
    first, last = span
    return {
        slot: receipt
        for slot, receipt in builds.items()
        if (first is None or slot.hour >= first) and (last is None or slot.hour <= last)
    }


def changes(builds: Hours, held: Mapping[Slot, list[LiveFile]], span: Span = (None, None)) -> Hours:
    """Return the hours whose rows in a table are not those of their newest build, or of no build at all."""
    found: dict[Slot, BuildReceipt | None] = {
        slot: receipt for slot, receipt in builds.items() if receipt and not _is_current(receipt, held.get(slot, []))
    }
    return found | {slot: None for slot in in_range(dict.fromkeys(held), span) if slot not in builds}


def _is_current(receipt: BuildReceipt, held: list[LiveFile]) -> bool:
    return [each.mark for each in held] == ([mark(receipt)] if receipt.file else [])


def _publish_day(step: Step, day: str, builds: Hours, span: Span, done: Published) -> Published:
    """Publish the changed hours of a day in one snapshot and add them to `done`.

    Hours whose file is just being replaced are left.

    Raises:
        IcebergError: other writers overtook every attempt, or a column's type changed.
    """
    for _ in range(_ATTEMPTS):
        held = live_files(step.table, day)
        changed = {slot: each for slot, each in changes(builds, held, span).items() if slot.day == day}
        news = {slot: each for slot, each in changed.items() if each is not None}
        there = files_there(step.lake, [news])
        left = {slot: lost_file(each, there) for slot, each in news.items()}
        left = {slot: why for slot, why in left.items() if why}
        changed = {slot: each for slot, each in changed.items() if slot not in left}
        if not changed:
            return replace(done, left=done.left | left)
        files = _written(step, changed)
        step.lease.check()
        try:
            old = [each.file for slot in changed for each in held.get(slot, [])]
            snapshot = _committed(step.table, old, files, changed)
        except (CommitFailedException, ValidationException):
            step.table.refresh()
            _withdraw(step, files)
            continue
        return replace(
            done,
            snapshots=(*done.snapshots, snapshot),
            hours=(*done.hours, *sorted(changed)),
            rows=done.rows + sum(each.record_count for each in files),
            left=done.left | left,
        )
    raise IcebergError(
        f"{'.'.join(step.table.name())}: other writers overtook all {_ATTEMPTS} attempts to commit {day}"
    )


def _written(step: Step, changed: Hours) -> list[DataFile]:
    """Write the new rows of some hours and bring them to the warehouse; no reader knows of them yet."""
    files, moves = [], []
    root, fit = key_of(step.place.store, step.table.location()), Fit(step.table)
    for slot, each in changed.items():
        if each is None or not each.file:
            continue
        rows = Rows(step.lake.open(each.file), _folders(slot, step.table))
        if fit.lacks(rows.columns):
            evolve(step.table, rows.columns)
            fit = Fit(step.table)
        inside = "/".join(f"{name}={value}" for name, value in rows.folders.items())
        path = step.work.path / inside / new_name(mark(each))
        footer, key = rows.write(path, fit), f"{root}/data/{inside}/{path.name}"
        files.append(Written(address(step.place.store, key), path.stat().st_size, footer, rows.folders))
        moves.append((step.work.key_of(path), key))
    step.place.store.stage(staged for staged, _ in moves)
    step.place.store.move_many(moves)
    return [each.entry(step.table) for each in files]


def _withdraw(step: Step, files: list[DataFile]) -> None:
    """Remove files whose commit was refused; not those that it holds all the same, for an answer can get lost."""
    landed = {each.file.file_path for held in live_files(step.table).values() for each in held}
    gone = [each.file_path for each in files if each.file_path not in landed]
    step.place.store.delete_many(key_of(step.place.store, each) for each in gone)


def _folders(slot: Slot, table: Table) -> dict[str, str]:
    values = {"source": slot.source, "date": slot.day, "hour": slot.hour[11:]}
    return {each.name: values[each.name] for each in table.spec().fields}


def _committed(table: Table, old: list[DataFile], new: list[DataFile], changed: Hours) -> int:
    """Commit one snapshot in which old files leave and new ones enter; return its id."""
    builds = (f"{slot.source}/{slot.hour}={_build_mark(each)}" for slot, each in sorted(changed.items()))
    with table.transaction() as change:
        update = change.update_snapshot(snapshot_properties={BUILDS: ",".join(builds)})
        producer = update.overwrite() if old else update.merge_append()
        if old:
            producer.delete_by_predicate(_hours(table, changed))
        for each in old:
            producer.delete_data_file(each)
        for each in new:
            producer.append_data_file(each)
        producer.commit()
    return producer.snapshot_id


def _hours(table: Table, changed: Hours) -> BooleanExpression:
    """Return the condition under which another writer's commit is in the way of this one."""
    values = [_folders(slot, table) for slot in changed]
    listed = {name: sorted({each[name] for each in values}) for name in values[0]}
    return parse(" and ".join(f"{name} in ({', '.join(map(repr, each))})" for name, each in listed.items()))


def _build_mark(receipt: BuildReceipt | None) -> str:
    return mark(receipt) if receipt is not None and receipt.file else "empty"
