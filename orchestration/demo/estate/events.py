"""What one simulated record is, and the clock that says when things happen.

`Event` is a record already serialised, with what only the simulation knows about it: when it truly happened, when it is
delivered, what was done to it on purpose. Formats of times and identifiers stand here too, because every source needs
them; what a record contains stands in the module of its source.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

# Share of a day's events per hour of the company's wall clock (UTC-5): quiet nights, a dip at lunch.
_DAY = (2, 2, 1, 1, 2, 3, 5, 8, 14, 17, 18, 17, 13, 16, 17, 16, 14, 10, 7, 5, 4, 4, 3, 2)
WALL_CLOCK_OFFSET_SECONDS = -5 * 3600
# The last minutes of the span stay silent, so that every delivery still falls into the span's last arrival hour.
QUIET_END_SECONDS = 720
DELIVERY_SECONDS = 300


@dataclass(slots=True)
class Event:
    """One record of one source.

    `at` and `arrived` are epoch seconds (UTC); `kinds` are the faults it carries ("late", "duplicate", "drift", …);
    `reason` is the quarantine reason it is expected to get, None for a record that lands; `key` is "" where a source
    gives no key and the record's own text is its key; `lane` is the folder it is delivered to.
    """

    source: str
    at: float
    arrived: float
    text: bytes
    key: str
    event_type: str
    lane: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    reason: str | None = None
    label: str | None = None
    pinned: bool = field(default=False)


def dump(record: Any) -> bytes:
    """Compact JSON text."""
    return _encode(record).encode()


def utc_seconds(at: float) -> str:
    """`2026-03-02T09:15:04Z`, fractions cut off."""
    return datetime.fromtimestamp(int(at), UTC).isoformat()[:19] + "Z"


def utc_millis(at: float) -> str:
    """`2026-03-02T09:15:04.120Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def sysmon_utc(at: float) -> str:
    """`2026-03-02 09:15:04.120`: Sysmon's own UtcTime."""
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "milliseconds")[:-6]


def wall_clock(at: float) -> str:
    """`2026-03-02 04:15:04`: the collector's local time without an offset, as NXLog writes it."""
    return datetime.fromtimestamp(int(at) + WALL_CLOCK_OFFSET_SECONDS, UTC).isoformat(" ", "seconds")[:19]


def hour_of(at: float) -> str:
    """`2026-03-02T09`: the UTC hour, as the balance sheet names it."""
    return datetime.fromtimestamp(at, UTC).isoformat()[:13]


def delivery_slot(arrived: float) -> int:
    """Epoch second of the five-minute delivery that carries a record which arrived then."""
    return int(arrived) // DELIVERY_SECONDS * DELIVERY_SECONDS


def uuid4(rng: random.Random) -> str:
    """A random UUID from this generator (uuid.uuid4 would not be repeatable)."""
    h = f"{rng.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def times(count: int, start: float, hours: int, rng: random.Random) -> list[float]:
    """`count` moments in the span in ascending order, to the millisecond, following the working day."""
    end = start + hours * 3600 - QUIET_END_SECONDS
    weights = [_DAY[int((start + h * 3600 + WALL_CLOCK_OFFSET_SECONDS) // 3600) % 24] for h in range(hours)]
    chosen = rng.choices(range(hours), weights, k=count)
    moments = (start + h * 3600 + rng.random() * 3600 for h in chosen)
    return sorted(round(m if m < end else end - rng.random() * 2400, 3) for m in moments)
