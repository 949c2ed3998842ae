"""What may still be asked of a provider: a budget per minute, day and month, and when who failed is tried again.

Days and months are UTC, as VirusTotal and AbuseIPDB count them. The record is written before a request goes out, so a
process that is killed has spent at most what it says. A clock that is set back gives nothing back: what was spent of a
later day or month counts.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ingest.lookups.client import wait_asked
from ingest.lookups.provider import Lookup, LookupOptions
from ingest.reference.observables import ObservableKey
from ingest.transports.fetch_errors import FetchError
from lake.base.http import Clock
from lake.ledger import BrokenReceipt
from lake.storage import paths
from lake.storage.store import ABSENT, Store

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


_ASIDE_SECONDS = 3600.0


def read_spent(store: Store, provider: str) -> tuple[Spent, str]:
    """Return what a provider's budget has been spent on, and the mark that `write_spent` expects.

    Raises:
        BrokenReceipt: the record cannot be read.
    """
    key = paths.lookup_spent(provider)
    try:
        found = msgspec.json.decode(store.read(key), type=Spent)
        return found, store.fingerprint_seen(key)
    except FileNotFoundError:
        return Spent(), ABSENT
    except msgspec.DecodeError as problem:
        raise BrokenReceipt(
            f"{key} cannot be read: {problem}. Restore it from a backup; without it the budget is counted from 0 again"
        ) from problem


def write_spent(store: Store, provider: str, spent: Spent, mark: str) -> str:
    """Replace the record, durably; return its new mark. Raises Conflict when somebody else wrote it meanwhile."""
    return store.write(paths.lookup_spent(provider), msgspec.json.encode(spent), mark)


def utc(now: float) -> datetime:
    """Return an instant (epoch seconds) as naive UTC, in whole milliseconds."""
    at = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


class BudgetSpent(FetchError):
    """A day's or a month's budget has nothing left."""


class BudgetStore:
    """The record of one provider, written to the lake before it counts. Use it under the provider's lock, after `look`.

    `requests` counts those that this process sent.
    """

    def __init__(self, store: Store, lookup: Lookup, clock: Clock) -> None:
        self._store, self._lookup, self._clock = store, lookup, clock
        self._spent, self._mark = Spent(), ""
        self._nothing_left: float | None = None
        self.requests = 0

    def look(self) -> None:
        """Read what other processes have spent and learnt. Raises BrokenReceipt."""
        self._spent, self._mark = read_spent(self._store, self._lookup.name)

    def charge(self, cost: int) -> None:
        """Write down what the next request costs, before it goes out; wait for the minute's budget.

        Raises:
            BudgetSpent: nothing is left of the day's or the month's.
            Conflict: another process writes the record, so the lock was lost.
        """
        options = self._lookup.options
        self._nothing_left = None
        waited = 0.0  # under the lock, so after a minute nobody has spent anything in it, whatever the clock says
        while (wait := seconds_for_minute(self._spent, options, cost, self._clock.now())) > 0:
            if waited >= MINUTE:
                break
            self._clock.sleep(wait)
            waited += wait
        if spent := exhausted(self._spent, options, self._clock.now()):
            raise BudgetSpent(f"{self._lookup.name}: {spent}")
        self._write(charged(self._spent, cost, self._clock.now()))
        self.requests += 1

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer that it was the last one for now."""
        if remaining(headers) == 0:
            self._nothing_left = wait_asked(headers, self._clock.now()) or MINUTE

    def room(self) -> int | None:
        """Return the most that one request may cost; None where there is no limit."""
        rest = left(self._spent, self._lookup.options, self._clock.now())
        limits = [rest["day"], rest["month"], self._lookup.options.per_minute]
        return min((each for each in limits if each is not None), default=None)

    def answered(self, places: Sequence[str], keys: Sequence[ObservableKey]) -> None:
        """Note that places have answered about some observables."""
        spent = self._spent
        for place in places:
            spent = answered(spent, place, tuple(map(_named, keys)))
        if self._nothing_left is not None:
            said = f"{self._lookup.name}: its own limit is reached (nothing remains)"
            spent = failed(spent, places[0], said, self._clock.now(), self._nothing_left)
        if spent != self._spent:
            self._write(spent)

    def failed(self, place: str, said: str, wait: float | None) -> None:
        """Leave a place alone, for `wait` seconds or for longer with each failure."""
        self._write(failed(self._spent, place, said, self._clock.now(), wait))

    def put_aside(self, keys: Sequence[ObservableKey]) -> None:
        """Let observables wait for an hour, so that others get their turn."""
        self._write(put_aside(self._spent, tuple(map(_named, keys)), self._clock.now() + _ASIDE_SECONDS))

    def is_aside(self, key: ObservableKey) -> bool:
        """Whether an observable was put aside and waits still."""
        return self._spent.set_aside.get(_named(key), 0.0) > self._clock.now()

    def has_failed(self, place: str) -> bool:
        """Whether the last thing that is known of a place is that it failed, however long ago."""
        return place in self._spent.trouble

    def trouble(self, place: str) -> str:
        """Return why a place is to be left alone, and until when; else ""."""
        found = in_trouble(self._spent, place, self._clock.now())
        return f"{found.said}; asked again from {utc(found.until).isoformat(timespec='seconds')}Z on" if found else ""

    def _write(self, spent: Spent) -> None:
        self._mark = write_spent(self._store, self._lookup.name, spent, self._mark)
        self._spent = spent


def _named(key: ObservableKey) -> str:
    return f"{key.kind}:{key.value}"
