"""What may still be asked of a provider: a budget per minute, day and month, and when who failed is tried again.

What belongs here: counting, as pure functions over one small record. What does not: where the record lies (`state`).

Days and months are UTC, as VirusTotal and AbuseIPDB count them. The record is written before a request goes out, so a
process that is killed has spent at most what it says. A clock that is set back gives nothing back: what was spent of a
later day or month counts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from ingest.lookups.provider import LookupOptions

_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 6 * 3600.0
_LONGEST_WAIT = 31 * 86_400.0  # that a provider may ask for
_MOST_SET_ASIDE = 200
MINUTE = 60.0


class Trouble(msgspec.Struct, frozen=True):
    """A place that does not answer: failures in a row, since when, what it said last, and when to try again (epoch)."""

    failures: int
    since: float
    said: str
    until: float


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent, and who is in trouble. Times are epoch seconds.

    `recent` are (time, cost) of the last minute. `set_aside` are observables (`kind:value`) whose questions failed
    while others were answered → when to ask again.
    """

    recent: tuple[tuple[float, int], ...] = ()
    day: str = ""
    of_day: int = 0
    month: str = ""
    of_month: int = 0
    trouble: dict[str, Trouble] = {}
    set_aside: dict[str, float] = {}


def charged(spent: Spent, cost: int, now: float) -> Spent:
    """Return the record after `cost` more."""
    day, month = max(spent.day, _day(now)), max(spent.month, _month(now))
    return msgspec.structs.replace(
        spent,
        recent=(*_last_minute(spent, now), (now, cost)),
        day=day,
        of_day=cost + (spent.of_day if spent.day == day else 0),
        month=month,
        of_month=cost + (spent.of_month if spent.month == month else 0),
    )


def exhausted(spent: Spent, options: LookupOptions, now: float) -> str:
    """Return which budget of a day or a month has nothing left, and until when; else ""."""
    if options.per_month is not None and left(spent, options, now)["month"] == 0:
        return f"the budget of the month ({options.per_month:,}) is spent until {_text(next_month(now))}"
    if options.per_day is not None and left(spent, options, now)["day"] == 0:
        return f"the budget of the day ({options.per_day:,}) is spent until {_text(next_day(now))}"
    return ""


def left(spent: Spent, options: LookupOptions, now: float) -> dict[str, int | None]:
    """Return what is left of each budget: minute, day, month; None where there is no limit."""
    minute = sum(cost for _, cost in _last_minute(spent, now))
    day = spent.of_day if spent.day >= _day(now) else 0
    month = spent.of_month if spent.month >= _month(now) else 0
    limits = (options.per_minute, options.per_day, options.per_month)
    return {
        name: None if limit is None else max(0, limit - used)
        for name, limit, used in zip(("minute", "day", "month"), limits, (minute, day, month), strict=True)
    }


def seconds_for_minute(spent: Spent, options: LookupOptions, cost: int, now: float) -> float:
    """Return how long to wait until the budget of the minute has room for `cost`.

    What costs more than a whole minute's budget goes out when the minute is empty.
    """
    if options.per_minute is None:
        return 0.0
    recent = _last_minute(spent, now)
    used = sum(each for _, each in recent)
    for at, each in recent:
        if used + cost <= options.per_minute:
            return 0.0
        used -= each
        if used + cost <= options.per_minute or used == 0:
            return at + MINUTE - now
    return 0.0


def failed(spent: Spent, place: str, said: str, now: float, wait: float | None = None) -> Spent:
    """Return the record after a failure of a place: it is left alone for `wait`, or twice as long with each failure."""
    before = spent.trouble.get(place)
    failures = (before.failures if before else 0) + 1
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 20))
    if wait is not None:
        pause = min(max(1.0, wait), _LONGEST_WAIT)
    trouble = Trouble(failures, before.since if before else now, said, now + pause)
    return msgspec.structs.replace(spent, trouble={**spent.trouble, place: trouble})


def answered(spent: Spent, place: str, keys: tuple[str, ...]) -> Spent:
    """Return the record after a place answered."""
    return msgspec.structs.replace(
        spent,
        trouble={name: each for name, each in spent.trouble.items() if name != place},
        set_aside={name: until for name, until in spent.set_aside.items() if name not in keys},
    )


def put_aside(spent: Spent, keys: tuple[str, ...], until: float) -> Spent:
    """Return the record in which some observables wait, so that others get their turn."""
    kept = {**spent.set_aside, **dict.fromkeys(keys, until)}
    return msgspec.structs.replace(spent, set_aside=dict(list(kept.items())[-_MOST_SET_ASIDE:]))


def in_trouble(spent: Spent, place: str, now: float) -> Trouble | None:
    """Return the trouble of a place that is to be left alone still."""
    found = spent.trouble.get(place)
    return found if found is not None and found.until > now else None


def next_day(now: float) -> datetime:
    """Return the next midnight, UTC."""
    return datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def next_month(now: float) -> datetime:
    """Return the start of the next month, UTC."""
    first = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def remaining(headers: Mapping[str, str]) -> int | None:
    """Return what X-RateLimit-Remaining says is left, or None."""
    text = headers.get("X-RateLimit-Remaining", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _last_minute(spent: Spent, now: float) -> list[tuple[float, int]]:
    """Return (time, cost) of the last minute, oldest first; what a clock since set back calls later is of now."""
    return sorted((min(at, now), cost) for at, cost in spent.recent if at > now - MINUTE)


def _day(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"


def _month(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m}"


def _text(at: datetime) -> str:
    return at.isoformat(timespec="minutes")
