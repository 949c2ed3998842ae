"""A provider's record during a run: what is charged, and who is left alone, written to the lake before it counts.

What belongs here: changing the record, and waiting for a minute's budget. What does not: what its numbers mean
(`budget`), asking (`asking`). Use it while the provider's lock is held, after `look`.
"""

from collections.abc import Mapping, Sequence

from ingest.lookups import budget
from ingest.lookups.client import wait_asked
from ingest.lookups.kinds import Lookup
from ingest.lookups.state import naive, read_spent, write_spent
from ingest.reference.observables import ObservableKey
from ingest.transports.fetch_errors import FetchError
from lake.base.http import Clock
from lake.storage.store import Store

_ASIDE_SECONDS = 3600.0


class BudgetSpent(FetchError):
    """A day's or a month's budget has nothing left."""


class Purse:
    """The record of one provider. `requests` counts those that this process sent."""

    def __init__(self, store: Store, lookup: Lookup, clock: Clock) -> None:
        self._store, self._lookup, self._clock = store, lookup, clock
        self._spent, self._mark = budget.Spent(), ""
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
        while (wait := budget.seconds_for_minute(self._spent, options, cost, self._clock.now())) > 0:
            if waited >= budget.MINUTE:
                break
            self._clock.sleep(wait)
            waited += wait
        if spent := budget.exhausted(self._spent, options, self._clock.now()):
            raise BudgetSpent(f"{self._lookup.name}: {spent}")
        self._write(budget.charged(self._spent, cost, self._clock.now()))
        self.requests += 1

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer that it was the last one for now."""
        if budget.remaining(headers) == 0:
            self._nothing_left = wait_asked(headers, self._clock.now()) or budget.MINUTE

    def room(self) -> int | None:
        """Return the most that one request may cost; None where there is no limit."""
        left = budget.left(self._spent, self._lookup.options, self._clock.now())
        limits = [left["day"], left["month"], self._lookup.options.per_minute]
        return min((each for each in limits if each is not None), default=None)

    def answered(self, places: Sequence[str], keys: Sequence[ObservableKey]) -> None:
        """Note that places have answered about some observables."""
        spent = self._spent
        for place in places:
            spent = budget.answered(spent, place, tuple(map(_named, keys)))
        if self._nothing_left is not None:
            said = f"{self._lookup.name}: its own limit is reached (nothing remains)"
            spent = budget.failed(spent, places[0], said, self._clock.now(), self._nothing_left)
        if spent != self._spent:
            self._write(spent)

    def failed(self, place: str, said: str, wait: float | None) -> None:
        """Leave a place alone, for `wait` seconds or for longer with each failure."""
        self._write(budget.failed(self._spent, place, said, self._clock.now(), wait))

    def put_aside(self, keys: Sequence[ObservableKey]) -> None:
        """Let observables wait for an hour, so that others get their turn."""
        self._write(budget.put_aside(self._spent, tuple(map(_named, keys)), self._clock.now() + _ASIDE_SECONDS))

    def is_aside(self, key: ObservableKey) -> bool:
        """Whether an observable was put aside and waits still."""
        return self._spent.set_aside.get(_named(key), 0.0) > self._clock.now()

    def has_failed(self, place: str) -> bool:
        """Whether the last thing that is known of a place is that it failed, however long ago."""
        return place in self._spent.trouble

    def trouble(self, place: str) -> str:
        """Return why a place is to be left alone, and until when; else ""."""
        found = budget.in_trouble(self._spent, place, self._clock.now())
        return f"{found.said}; asked again from {naive(found.until).isoformat(timespec='seconds')}Z on" if found else ""

    def _write(self, spent: budget.Spent) -> None:
        self._mark = write_spent(self._store, self._lookup.name, spent, self._mark)
        self._spent = spent


def _named(key: ObservableKey) -> str:
    return f"{key.kind}:{key.value}"
