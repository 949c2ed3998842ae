"""What waits for a provider, and the provider's status: budget left, places that do not answer."""

from dataclasses import dataclass
from datetime import datetime

from ingest.lookups import budget
from ingest.lookups.budget import read_spent, utc
from ingest.lookups.provider import Lookup
from ingest.reference.observables import NotObservable, ObservableKey, observable_key
from lake.ledger.lookup_answers import receipt_of
from lake.ledger.pending_lookups import backlog, pending_receipts
from lake.storage.store import Store

MOST_AT_ONCE = 50_000  # observables of one run; no plan of a provider answers more in an hour


@dataclass(frozen=True)
class Pending:
    """The first observables to ask about, and how many there are in all, of how many events, waiting since when."""

    first: tuple[ObservableKey, ...]
    observables: int
    events: int
    since: str


def pending(store: Store, lookup: Lookup, now: datetime) -> Pending:
    """Return what events wait for, may be sent, and has no answer that is valid; the longest waiting first."""
    found = backlog(store, pending_receipts(store), lookup.name, now, MOST_AT_ONCE)
    guard = lookup.guard
    keys = ((_key(each.kind, each.value), each.value) for each in found.first)
    first = tuple(dict.fromkeys(key for key, written in keys if key is not None and guard.may_send(key, written)))
    left_out = len(found.first) - len(first)  # the settings have become stricter since the hours were built
    return Pending(first, found.observables - left_out, found.events, found.since)


def _key(kind: str, value: str) -> ObservableKey | None:
    try:
        return observable_key(kind, value)
    except NotObservable:
        return None


@dataclass(frozen=True)
class Trouble:
    """A place that does not answer: "" is the provider itself. Times are naive UTC."""

    place: str
    said: str
    failures: int
    since: datetime
    asked_again_at: datetime


@dataclass(frozen=True)
class LookupStatus:
    """How one provider stands. `left` is by minute, day and month; None where there is no limit.

    `waiting` are observables to ask about, `events` those that wait for them, `since` when the first of these was
    published (ISO, "" when none waits). `lacking` says what the settings name and this machine lacks.
    """

    provider: str
    kind: str
    answers: int
    waiting: int
    events: int
    since: str
    left: dict[str, int | None]
    exhausted: str
    troubles: tuple[Trouble, ...]
    lacking: str
    next: tuple[str, ...] = ()

    @property
    def said(self) -> list[str]:
        """Return what keeps it from being asked now, one line each."""
        troubles = [f"{each.said}; asked again from {each.asked_again_at.isoformat()}Z on" for each in self.troubles]
        return [line for line in (self.lacking, self.exhausted, *troubles) if line]


def lookup_status(store: Store, lookup: Lookup, now: float, limit: int | None = None) -> LookupStatus:
    """Return how a provider stands at a time (epoch seconds); `next` names up to `limit` of what would be asked."""
    found = pending(store, lookup, utc(now))
    spent, _ = read_spent(store, lookup.name)
    return LookupStatus(
        provider=lookup.name,
        kind=lookup.kind,
        answers=receipt_of(store, lookup.name).answers,
        waiting=found.observables,
        events=found.events,
        since=found.since,
        left=budget.left(spent, lookup.options, now),
        exhausted=budget.exhausted(spent, lookup.options, now),
        troubles=tuple(
            Trouble(place, each.said, each.failures, utc(each.since), utc(each.until))
            for place, each in sorted(spent.trouble.items())
            if each.until > now
        ),
        lacking=lookup.lacking,
        next=tuple(key.value for key in found.first[:limit]),
    )
