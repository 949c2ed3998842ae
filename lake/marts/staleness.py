"""Staleness of marts, derived from the lake as that of silver is, with the hours before that a mart looks back to.

Each input hour has a fingerprint: silver's is (input checksums, mapping version), that of a mart which declares its
`content` is the digest of that. Fingerprints of a window are added up, so the digest of ninety days costs as little as
that of an hour. A mart's hour is stale when a digest is another than the one in its receipt, when the mart's
SQL has changed, when it was never built and has something to read, or when its file has gone. Late data so reopens the
hours whose window it lies in, and no others. An hour that has expired is not built again; what it looked back to may
expire, the mark of that stays.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate

from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.staleness import NEVER, Mappings, files_there, lost_file
from lake.marts.declaration import Mart, Marts, Read
from lake.storage.store import Store

ROWS, SQL = "other rows in what it reads", "changed SQL"
FOLLOWS = "reads hours that are built first"  # and is built if their rows come out otherwise
_ALL = 1 << 128


@dataclass(frozen=True)
class StaleMart:
    """One event hour of a mart that must be built, and why."""

    mart: str
    hour: str
    why: str


class Slots:
    """The hours that one table has, in order, with the running sum of their marks."""

    def __init__(self, receipts: Mapping[str, BuildReceipt]) -> None:
        self.receipts = receipts
        self.hours = sorted(receipts)
        marks = (_number(hour, receipts[hour].rows_mark) for hour in self.hours)
        self._sums = [0, *accumulate(marks)]

    def digest(self, first: str, last: str) -> int:
        """Return what tells the rows of the hours from `first` to `last` apart from others."""
        return (self._sums[bisect_right(self.hours, last)] - self._sums[bisect_left(self.hours, first)]) % _ALL

    def within(self, windows: Iterable[tuple[str, str]]) -> list[BuildReceipt]:
        """Return the receipts of the hours in any of some (first, last) windows that have a file, in order."""
        wanted: set[str] = set()
        for first, last in windows:
            wanted.update(self.hours[bisect_left(self.hours, first) : bisect_right(self.hours, last)])
        return [self.receipts[hour] for hour in sorted(wanted) if self.receipts[hour].file]

    def files(self, windows: Iterable[tuple[str, str]]) -> list[str]:
        """Return the keys of the files of the hours in any of some (first, last) windows, in order of the hours."""
        return [receipt.file for receipt in self.within(windows)]


class Tables:
    """The slots of tables, each read once, and again after `forget`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._slots: dict[str, Slots] = {}

    def slots(self, model: str) -> Slots:
        """Return the slots of a table."""
        if model not in self._slots:
            self._slots[model] = Slots(build_receipts.of_model(self._store, model))
        return self._slots[model]

    def forget(self, model: str) -> None:
        """Read a table's receipts again when they are asked for: they were replaced."""
        self._slots.pop(model, None)

    def inputs(self, mart: Mart, hour: str) -> tuple[tuple[str, str], ...]:
        """Return, for what a mart reads, (name with its window, digest) as its receipt holds them."""
        return tuple((_label(read), f"{self._digest(read, hour):032x}") for read in mart.reads)

    def expired(self, mart: Mart, hour: str) -> bool:
        """Whether rows of the hour itself, or of its day, that a mart reads have expired."""
        held = (self.slots(model).receipts.get(each) for model in mart.own_models for each in own_hours(mart, hour))
        return any(receipt is not None and receipt.expired_at for receipt in held)

    def hours(self, mart: Mart) -> set[str]:
        """Return the slots in which a mart has something to read of the hour itself."""
        held = (found for model in mart.own_models for found in self.slots(model).receipts.values())
        return {mart.slot_of(receipt.hour) for receipt in held if receipt.rows}

    def _digest(self, read: Read, hour: str) -> int:
        return sum(self.slots(model).digest(*window(read, hour)) for model in read.models) % _ALL


def stale_mart(store: Store, mappings: Mappings, mart: Mart, tables: Tables) -> list[StaleMart]:
    """Return the hours of a mart that must be built, oldest first."""
    built = tables.slots(mart.name).receipts
    there = files_there(store, [built])
    fingerprint = mappings.fingerprint(mart.name)
    found = []
    for hour in sorted({*tables.hours(mart), *built}):
        receipt = built.get(hour)
        if tables.expired(mart, hour) or (receipt and receipt.expired_at):
            continue
        why = lost_file(receipt, there) if receipt else NEVER
        if receipt and receipt.inputs != tables.inputs(mart, hour):
            why = ROWS
        elif receipt and receipt.mapping != fingerprint:
            why = SQL
        if why:
            found.append(StaleMart(mart.name, hour, why))
    return found


def may_become_stale(mart: Mart, tables: Tables, planned: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the hours of a mart whose windows hold an hour that is about to be built, of `planned` (table → hours)."""
    found: set[str] = set()
    for read in mart.reads:
        news = sorted({hour for model in read.models for hour in planned.get(model, ())})
        if not news:
            continue
        for hour in tables.hours(mart).union(map(mart.slot_of, news)):
            first, last = window(read, hour)
            if bisect_left(news, first) < bisect_right(news, last):
                found.add(hour)
    return found


def planned(
    store: Store,
    mappings: Mappings,
    marts: Marts,
    wanted: Callable[[str], bool] = lambda _: True,
    again: bool = False,
    first: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, dict[str, str]]:
    """Return, by mart in the order of building, the hours that are stale, or may become so, with why.

    `first` are the hours of tables (model → hours) that are built before the marts. With `again`, all hours that marts
    have something to read of.
    """
    tables, found = Tables(store), dict[str, dict[str, str]]()
    before = dict(first or {})
    for name in (name for level in marts.levels for name in level):
        mart = marts.by_name[name]
        whys = dict.fromkeys(tables.hours(mart) if again else (), "")
        whys |= dict.fromkeys(may_become_stale(mart, tables, before), FOLLOWS)
        whys |= {each.hour: each.why for each in stale_mart(store, mappings, mart, tables)}
        if chosen := {hour: whys[hour] for hour in sorted(filter(wanted, whys))}:
            found[name] = before[name] = chosen
    return found


def window(read: Read, hour: str) -> tuple[str, str]:
    """Return the first and the last hour that count for an hour."""
    if read.past_days:
        return _moved(f"{hour[:10]}T00", -read.before), _moved(f"{hour[:10]}T00", -24)
    return _moved(hour, -read.before), _moved(hour, read.after)


def own_hours(mart: Mart, hour: str) -> list[str]:
    """Return the hours that a slot of a mart stands for: itself, or those of its day."""
    return [f"{hour[:10]}T{each:02d}" for each in range(24)] if mart.daily else [hour]


@lru_cache(maxsize=100_000)
def _moved(hour: str, hours: int) -> str:
    if not hours:
        return hour
    return ledger.hour_text(datetime.strptime(hour, ledger.HOUR) + timedelta(hours=hours))


def _label(read: Read) -> str:
    ahead = f"+{read.after}h" if read.after else ""
    return f"{read.name}[-{read.before}h{ahead}]" if read.before or read.after else read.name


def _number(hour: str, mark: str) -> int:
    if not mark:
        return 0
    return int.from_bytes(hashlib.md5(f"{hour} {mark}".encode(), usedforsecurity=False).digest())
