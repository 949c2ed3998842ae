"""Retention: hours that are older than their source's contract keeps them go, and the receipts say so.

Matches of an hour of which anything expires go with it; what is left of the hour is matched again (`lake.matching`).

An hour expires when it ended longer ago than the retention: event hours of bronze, of silver, gold and dispositions;
arrival hours of quarantine. Nothing else is touched, and nothing of a source without a retention. Receipts stay:
a batch's tells how many of its rows expired, of which hour, and a build's that it is of an expired hour. So the balance
explains every event for ever, and an expired hour is not built again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from lake import ledger
from lake.ledger import EXPIRED, LandingReceipt, Removed, build_receipts, encode, marks_of, with_removed
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.live_files import LiveFile, live_files
from lake.matching.index import files_of
from lake.matching.matches import forgotten
from lake.storage import paths
from lake.storage.publish import Change, publish
from lake.storage.store import Store
from lake.upkeep.orphan_files import ROOMS, remove_orphans


@dataclass(frozen=True)
class ExpiredDay:
    """What has expired of one source and day: held files, files of built tables, and the models that were built."""

    source: str
    day: date
    held: tuple[tuple[str, LiveFile], ...]  # room, file
    built: tuple[tuple[str, int], ...]  # key, bytes
    models: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Return how many rows of bronze and quarantine have expired."""
        return sum(file.rows for _, file in self.held)

    @property
    def files(self) -> int:
        """Return how many files have expired."""
        return len(self.held) + len(self.built)

    @property
    def bytes(self) -> int:
        """Return what they take."""
        return sum(file.bytes for _, file in self.held) + sum(size for _, size in self.built)


def newest_expired(retention: timedelta, now: datetime) -> str:
    """Return the newest hour (`YYYY-MM-DDTHH`) that ended at least `retention` before `now` (UTC, aware)."""
    return ledger.hour_text(paths.floor_hour(now - retention) - timedelta(hours=1))


def expired_days(store: Store, source: str, retention: timedelta, now: datetime) -> list[ExpiredDay]:
    """Return what has expired of a source, oldest day first."""
    newest = newest_expired(retention, now)
    receipts = list(ledger.landings(store, source))
    held: dict[date, list[tuple[str, LiveFile]]] = {}
    for room in ROOMS:
        for file in live_files(receipts, room):
            if file.hour <= newest:
                held.setdefault(ledger.hour(file.hour).date(), []).append((room, file))
    built: dict[date, list[tuple[str, int]]] = {}
    for hour, key, size in _built_files(store, source):
        if ledger.hour_text(hour) <= newest:
            built.setdefault(hour.date(), []).append((key, size))
    models = _built_models(store, source, newest)
    days = sorted({*held, *built, *models})
    return [
        ExpiredDay(source, day, tuple(held.get(day, ())), tuple(built.get(day, ())), models.get(day, ()))
        for day in days
    ]


def expire(
    store: Store,
    source: str,
    retention: timedelta,
    now: datetime,
    told: Callable[[ExpiredDay], None] = lambda _: None,
) -> list[ExpiredDay]:
    """Remove what has expired of a source, a day at a time; return what went."""
    days = expired_days(store, source, retention, now)
    newest, by = newest_expired(retention, now), f"retention of {retention / timedelta(days=1):g} days"
    for day in days:
        told(day)
        publish(store, lambda day=day: _change(store, day, newest, by, now))  # type: ignore[misc]
    if days:
        remove_orphans(store, source)
    return days


def _change(store: Store, day: ExpiredDay, newest: str, by: str, now: datetime) -> Change:
    batches = sorted({batch for _, file in day.held for batch in file.batches})
    deletes = [key for key, _ in day.built]
    receipts = []
    for batch in batches:
        held = ledger.landing(store, day.source, batch)
        if held is not None:
            gone, left = _expired_of(held, day.day, newest, by)
            receipts.append((paths.landing_receipt(day.source, batch), encode(left)))
            deletes += gone
    for model in day.models:
        old = build_receipts.day_of(store, model, day.day)
        news = [_expired_build(each, now) for hour, each in old.items() if hour <= newest and not each.expired_at]
        receipts += build_receipts.merged_days(store, model, news)
        deletes += [key for hour, each in old.items() if hour <= newest for key in files_of(each)]
    gone_matches, unmatched = forgotten(store, day.day, lambda hour: hour <= newest)
    deletes += gone_matches
    receipts += unmatched
    return Change(deletes=tuple(dict.fromkeys(deletes)), receipts=tuple(receipts))


def _expired_of(receipt: LandingReceipt, day: date, newest: str, by: str) -> tuple[list[str], LandingReceipt]:
    """Return the keys of a batch's files of a day that have expired, and its receipt without them."""
    gone: list[str] = []
    for room in ROOMS:
        marks = marks_of(receipt, room)
        old = [mark for mark in marks if mark.hour <= newest and ledger.hour(mark.hour).date() == day]
        if old:
            rows: dict[str, int] = {}
            for mark in old:
                rows[mark.hour] = rows.get(mark.hour, 0) + mark.rows
            removed = [Removed(EXPIRED, room, hour, count, by) for hour, count in sorted(rows.items())]
            receipt = with_removed(receipt, room, (mark for mark in marks if mark not in old), removed)
            gone += [mark.key for mark in old]
    return gone, receipt


def _expired_build(receipt: BuildReceipt, now: datetime) -> BuildReceipt:
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    mark = receipt.rows_mark  # what was made of the rows stays as it is
    return msgspec.structs.replace(receipt, file="", inputs=(), samples={}, expired_at=at, content=mark)


def _built_files(store: Store, source: str) -> Iterator[tuple[datetime, str, int]]:
    """Yield hour, key and bytes of the files of built tables of a source."""
    folders = [paths.outcomes_folder(source)]
    folders += [paths.silver_folder(table, source) for table in store.folders(paths.SILVER)]
    folders += [paths.index_folder(table, source) for table in store.folders(paths.INDEX)]
    folders += [f"{paths.GOLD}/{mart}/source={source}" for mart in store.folders(paths.GOLD)]
    folders += paths.refused_folders(store.folders)
    for folder in folders:
        for each in store.list(folder):
            hour = paths.hour_of(each.key)
            if hour is not None:
                yield hour, each.key, each.size


def _built_models(store: Store, source: str, newest: str) -> dict[date, tuple[str, ...]]:
    """Return, by day, the models whose receipts name expired hours and do not say so yet."""
    found: dict[date, set[str]] = {}
    for model in build_receipts.models(store):
        if model.endswith(f"__{source}"):
            for hour, receipt in build_receipts.of_model(store, model).items():
                if hour <= newest and not receipt.expired_at:
                    found.setdefault(ledger.hour(hour).date(), set()).add(model)
    return {day: tuple(sorted(models)) for day, models in found.items()}
