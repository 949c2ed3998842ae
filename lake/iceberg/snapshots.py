"""Snapshots: the changed hours of one day of a table leave and enter as one.

What belongs here: comparing, writing the files of changed hours, and committing them. What does not: which days.

A reader sees the old rows of an hour or the new ones. A process killed before its commit leaves files that nobody
reads; one killed after it has published, which the next one sees in the names of the table's files. A commit that
another writer overtook is planned again on what that one left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from lake.iceberg.catalogue import IcebergError, Place
from lake.iceberg.data_files import Rows, Written, new_name
from lake.iceberg.file_io import address, key_of
from lake.iceberg.live_files import HeldFile, held_files
from lake.iceberg.schema import Fit, evolve
from lake.ledger.published_tables import Slot, mark
from lake.ledger.receipts import BuildReceipt
from lake.ledger.staleness import lost_file
from lake.storage.publish import Workplace
from lake.storage.store import Lease, Store

BUILDS = "headwater.builds"  # summary property of a snapshot: <source>/<hour>=<mark>, or =empty, separated by commas
_ATTEMPTS = 8

Hours = Mapping[Slot, BuildReceipt | None]  # None: the lake no longer has the hour
Span = tuple[str | None, str | None]  # first and last hour text, both included


@dataclass(frozen=True)
class Step:
    """What publishing one table works with."""

    lake: Store
    place: Place
    table: Table
    lease: Lease
    work: Workplace


@dataclass(frozen=True)
class Day:
    """What publishing one day did: see `Published`."""

    snapshots: tuple[int, ...] = ()
    hours: tuple[Slot, ...] = ()
    rows: int = 0
    left: dict[Slot, str] = field(default_factory=dict)


def in_range(builds: Hours, span: Span) -> Hours:
    """Return the hours that lie in a span."""
    first, last = span
    return {
        slot: receipt
        for slot, receipt in builds.items()
        if (first is None or slot.hour >= first) and (last is None or slot.hour <= last)
    }


def changes(builds: Hours, table: Table | None, span: Span) -> Hours:
    """Return the hours whose rows in the table are not those of their newest build, or of no build at all."""
    held = held_files(table) if table is not None else {}
    return _changes(builds, held, span)


def _changes(builds: Hours, held: Mapping[Slot, list[HeldFile]], span: Span) -> Hours:
    found: dict[Slot, BuildReceipt | None] = {
        slot: receipt for slot, receipt in builds.items() if receipt and not _is_current(receipt, held.get(slot, []))
    }
    return found | {slot: None for slot in in_range(dict.fromkeys(held), span) if slot not in builds}


def _is_current(receipt: BuildReceipt, held: list[HeldFile]) -> bool:
    return [each.mark for each in held] == ([mark(receipt)] if receipt.file else [])


def publish_day(step: Step, day: str, builds: Hours, span: Span) -> Day:
    """Publish the changed hours of a day in one snapshot; hours whose file is just being replaced are left.

    Raises:
        IcebergError: other writers overtook every attempt, or a column's type changed.
    """
    for _ in range(_ATTEMPTS):
        held = held_files(step.table, day)
        changed = {slot: each for slot, each in _changes(builds, held, span).items() if slot.day == day}
        left = {slot: lost_file(each, step.lake.info) for slot, each in changed.items() if each is not None}
        left = {slot: why for slot, why in left.items() if why}
        changed = {slot: each for slot, each in changed.items() if slot not in left}
        if not changed:
            return Day(left=left)
        files = _written(step, changed)
        step.lease.check()
        try:
            old = [each.file for slot in changed for each in held.get(slot, [])]
            snapshot = _committed(step.table, old, files, changed)
        except (CommitFailedException, ValidationException):
            step.table.refresh()
            _withdraw(step, files)
            continue
        return Day((snapshot,), tuple(sorted(changed)), sum(each.record_count for each in files), left)
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
    return [each.told(step.table) for each in files]


def _withdraw(step: Step, files: list[DataFile]) -> None:
    """Remove files whose commit was refused; not those that it holds all the same, for an answer can get lost."""
    landed = {each.file.file_path for held in held_files(step.table).values() for each in held}
    gone = [each.file_path for each in files if each.file_path not in landed]
    step.place.store.delete_many(key_of(step.place.store, each) for each in gone)


def _folders(slot: Slot, table: Table) -> dict[str, str]:
    values = {"source": slot.source, "date": slot.day, "hour": slot.hour[11:]}
    return {each.name: values[each.name] for each in table.spec().fields}


def _committed(table: Table, old: list[DataFile], new: list[DataFile], changed: Hours) -> int:
    """Commit one snapshot in which old files leave and new ones enter; return its id."""
    told = {BUILDS: ",".join(f"{slot.source}/{slot.hour}={_told(each)}" for slot, each in sorted(changed.items()))}
    with table.transaction() as change:
        update = change.update_snapshot(snapshot_properties=told)
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


def _told(receipt: BuildReceipt | None) -> str:
    return mark(receipt) if receipt is not None and receipt.file else "empty"
