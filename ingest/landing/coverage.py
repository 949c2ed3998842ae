"""Coverage: records that say what was watched or lost, not what happened. They are counted, and land nowhere.

What belongs here: taking such records out of the stream and adding them up for the receipt. What does not: saying what
they mean to people (`orchestration`), events.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import Contract
from ingest.landing.read_text import column
from lake.ledger.receipts import Coverage, Unseen

MOST_PLACES = 500  # of one status in a receipt; what lies beyond is one entry of its own
_SECONDS = 253402300799  # the year 9999


@dataclass
class _Sum:
    records: int = 0
    first: int | None = None
    last: int | None = None
    seconds: int = 0

    def add(self, records: int, first: int | None, last: int | None, seconds: int) -> None:
        self.records += records
        self.seconds += seconds
        self.first = min((each for each in (self.first, first) if each is not None), default=None)
        self.last = max((each for each in (self.last, last) if each is not None), default=None)


class CoverageCounter:
    """Takes the coverage records of one contract out of batches of `text_fields`; passes all others on."""

    def __init__(self, contract: Contract) -> None:
        self._rule = contract.coverage
        places = {each.name: column(number) for number, each in enumerate(contract.fields)}
        self._places: dict[tuple[str, str], _Sum] = {}
        self.by_object: dict[str, int] = {}
        if self._rule is not None:
            self._statuses = pa.array([*self._rule.idle, *self._rule.lost], pa.utf8())
            self._status = places[self._rule.field]
            self._by = [(name, places[name]) for name in self._rule.by]
            self._interval = [places[name] for name in self._rule.interval]

    @property
    def records(self) -> int:
        """How many records were taken out."""
        return sum(self.by_object.values())

    def passed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch without its coverage records, and count those."""
        if self._rule is None:
            return batch
        told = pc.and_(pc.is_in(batch.column(self._status), self._statuses), pc.is_null(batch.column("problem")))
        if not pc.any(told).as_py():
            return batch
        self._count(batch.filter(told))
        return batch.filter(pc.invert(told))

    def _count(self, found: pa.RecordBatch) -> None:
        for name, records in zip(*_tally(found.column("object").cast(pa.utf8())), strict=True):
            self.by_object[name] = self.by_object.get(name, 0) + records
        keys = [self._status, *(place for _, place in self._by)]
        columns = {name: found.column(name) for name in keys}
        for name, values in zip(("first", "last"), self._times(found), strict=True):
            columns[name] = values
        columns["span"] = pc.max_element_wise(pc.subtract(columns["last"], columns["first"]), 0, skip_nulls=False)
        grouped = pa.table(columns).group_by(keys)
        sums = grouped.aggregate([([], "count_all"), ("first", "min"), ("last", "max"), ("span", "sum")])
        for row in sums.to_pylist():
            where = " ".join(f"{name}={row[place]}" for name, place in self._by if row[place] is not None)
            key = (row[self._status], where)
            if key not in self._places and len(self._places) >= MOST_PLACES * len(self._statuses):
                key = (row[self._status], "(further places)")
            place = self._places.setdefault(key, _Sum())
            place.add(row["count_all"], row["first_min"], row["last_max"], row["span_sum"] or 0)

    def _times(self, found: pa.RecordBatch) -> list[pa.Array]:
        """Start and end of the records in epoch seconds, null where there is none or it is no time."""
        if not self._interval:
            return [pa.nulls(len(found), pa.int64())] * 2
        times = [found.column(place) for place in self._interval]
        return [
            pc.if_else(pc.and_(pc.greater(t, 0), pc.less(t, _SECONDS)), t, pa.scalar(None, pa.int64())) for t in times
        ]

    def found(self) -> tuple[Coverage, ...]:
        """Return what was told, lost records first, by status and place."""
        if self._rule is None:
            return ()
        return tuple(
            each
            for meaning, statuses in (("lost", self._rule.lost), ("idle", self._rule.idle))
            for status in statuses
            if (each := self._coverage(status, meaning)).records
        )

    def _coverage(self, status: str, meaning: str) -> Coverage:
        places = [(where, each) for (told, where), each in self._places.items() if told == status]
        places.sort(key=lambda item: (-item[1].records, item[0]))
        total = _Sum()
        for _, each in places:
            total.add(each.records, each.first, each.last, each.seconds)
        shown = places[:MOST_PLACES]
        if rest := places[MOST_PLACES:]:
            beyond = _Sum()
            for _, each in rest:
                beyond.add(each.records, each.first, each.last, each.seconds)
            shown.append((f"({len(rest)} further places)", beyond))
        return Coverage(
            status=status,
            meaning=meaning,
            records=total.records,
            seconds=total.seconds,
            first=_instant(total.first),
            last=_instant(total.last),
            places=tuple(
                Unseen(where, each.records, each.seconds, _instant(each.first), _instant(each.last))
                for where, each in shown
            ),
        )


def _tally(values: pa.Array) -> tuple[list[str], list[int]]:
    counted = pc.value_counts(values)
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()


def _instant(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
