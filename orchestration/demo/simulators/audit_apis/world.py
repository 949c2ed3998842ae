"""What happened at a vendor: events, some shown late, some twice, many in one second."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR_MS = 3_600_000


@dataclass(frozen=True, order=True)
class Event:
    """One event: when it happened and from when on the vendor shows it (epoch milliseconds), its id and stream.

    `copy` tells the showings of an event apart that the vendor gives several times.
    """

    at: int
    uid: str
    copy: int
    shown: int
    stream: str


class World:
    """Events of a vendor that keeps them for `retention`."""

    def __init__(self, events: Sequence[Event], retention: timedelta) -> None:
        self.events = sorted(events)
        self.retention_ms = int(retention / timedelta(milliseconds=1))

    def visible(self, now: float) -> Iterator[Event]:
        """Yield what the vendor shows at a time (epoch seconds), the oldest first."""
        oldest = now * 1000 - self.retention_ms
        return (event for event in self.events if event.shown <= now * 1000 and event.at >= oldest)

    @property
    def uids(self) -> set[str]:
        """Return the ids of all events."""
        return {event.uid for event in self.events}


def random_world(
    chance: random.Random, start: datetime, hours: int, streams: Sequence[str], latest: timedelta, retention: timedelta
) -> World:
    """Return a world of some hours from `start`: bursts within a second, events at the borders of hours, late ones.

    An event is shown at once, minutes later, or up to `latest` after it happened; one in twenty is shown twice.
    """
    begin = int(start.timestamp()) * 1000
    times = [begin, begin + 1, begin + HOUR_MS - 1, begin + HOUR_MS, begin + hours * HOUR_MS - 1]
    wanted = chance.choice((5, 30, 120))
    while len(times) < wanted:
        at = begin + chance.randrange(hours * HOUR_MS)
        second = at - at % 1000
        times += [second + chance.randrange(1000) for _ in range(chance.choice((1, 1, 1, 2, 15)))]
    made = []
    for number, at in enumerate(times):
        lag = chance.choice((0, 0, 0, chance.random() * 0.02, chance.random()))
        shown = at + int(lag * (latest / timedelta(milliseconds=1)))
        stream = chance.choice(streams)
        copies = 2 if chance.random() < 0.05 else 1
        made += [Event(at, f"e{number}", copy, shown, stream) for copy in range(copies)]
    return World(made, retention)
