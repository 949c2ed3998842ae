"""The events of the simulated org, indexed the two ways Okta reads them: by publication and by persistence.

Raw lines are kept and served unchanged.
"""

from __future__ import annotations

import gzip
import heapq
import json
import random
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any] | bytes | str


@dataclass(frozen=True)
class Page:
    """A slice of the log: raw records, and the cursors after the last record served and whether more follow."""

    records: list[bytes]
    after: tuple[int, int] | None
    more: bool


class EventLog:
    """All events, of which only those that are persisted by now can be read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._published: list[tuple[int, int]] = []
        self._persisted: list[tuple[int, int]] = []
        self._raw: list[bytes] = []
        self._waiting: list[tuple[int, int, tuple[int, int]]] = []

    def __len__(self) -> int:
        return len(self._raw)

    def add(self, events: Iterable[Event], *, lag_seconds: float = 0.0, seed: int = 0) -> None:
        """Add events; each is persisted up to `lag_seconds` after it was published, at random but repeatable.

        An event whose `published` is absent or unreadable stands where the event before it stands.
        """
        lag = random.Random(seed)
        with self._lock:
            for raw, published in _dated(events):
                persisted = published + int(lag.uniform(0, lag_seconds) * 1_000_000)
                heapq.heappush(self._waiting, (persisted, len(self._raw), (published, len(self._raw))))
                self._raw.append(raw)

    def persist(self, now_micros: int | None) -> None:
        """Make readable what is persisted by now; everything when `now_micros` is None."""
        with self._lock:
            due: list[tuple[int, int, tuple[int, int]]] = []
            while self._waiting and (now_micros is None or self._waiting[0][0] <= now_micros):
                due.append(heapq.heappop(self._waiting))
            if due:
                self._published.extend(position for _, _, position in due)
                self._published.sort()
                self._persisted.extend((persisted, number) for persisted, number, _ in due)
                self._persisted.sort()

    def bounded(
        self, since: int, until: int, after: tuple[int, int] | None, limit: int, *, ascending: bool, inclusive: bool
    ) -> Page:
        """Events published in [since, until), or up to and with `until` when `inclusive`, ordered by publication."""
        with self._lock:
            low = bisect_left(self._published, (since, -1))
            high = bisect_left(self._published, (until + inclusive, -1))
            if ascending:
                low = low if after is None else max(low, bisect_left(self._published, (after[0], after[1] + 1)))
                chosen = self._published[low : max(low, min(high, low + limit))]
                more = low + limit < high
            else:
                high = high if after is None else min(high, bisect_left(self._published, after))
                chosen = self._published[max(low, high - limit) : high][::-1]
                more = high - limit > low
            return Page([self._raw[number] for _, number in chosen], chosen[-1] if chosen else after, more)

    def polled(self, since: int, after: tuple[int, int] | None, limit: int) -> Page:
        """Events persisted from `since` on or after the cursor, in the order of persistence."""
        with self._lock:
            start = (since, -1) if after is None else (after[0], after[1] + 1)
            low = bisect_left(self._persisted, start)
            chosen = self._persisted[low : low + limit]
            last = chosen[-1] if chosen else after or (since, -1)
            return Page([self._raw[number] for _, number in chosen], last, True)


def read_ndjson(path: Path) -> Iterator[bytes]:
    """The lines of an NDJSON file, plain or gzipped, without empty ones.

    Raises ValueError naming the line that is not a JSON object: Okta never serves one.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            record = line.strip()
            if not record:
                continue
            try:
                is_object = isinstance(json.loads(record), dict)
            except ValueError:
                is_object = False
            if not is_object:
                raise ValueError(f"{path}:{number}: not a JSON object; Okta serves none")
            yield record


def micros(text: str) -> int:
    """Epoch microseconds of an ISO 8601 time; a time without an offset is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return round(moment.timestamp() * 1_000_000)


def _dated(events: Iterable[Event]) -> Iterator[tuple[bytes, int]]:
    published = 0
    for event in events:
        raw = _raw(event)
        with suppress(ValueError, KeyError, TypeError):
            published = micros(json.loads(raw)["published"])
        yield raw, published


def _raw(event: Event) -> bytes:
    if isinstance(event, dict):
        return json.dumps(event, separators=(",", ":")).encode()
    return event.encode() if isinstance(event, str) else event
