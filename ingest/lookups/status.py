"""How a provider stands: what waits for it and since when, what is left of its budget, whom it leaves alone.

What belongs here: looking, without asking and without changing anything. What does not: printing it.
"""

from dataclasses import dataclass
from datetime import datetime

from ingest.lookups import budget
from ingest.lookups.kinds import Lookup
from ingest.lookups.pending import wanted
from ingest.lookups.state import naive, read_spent
from lake.ledger.lookup_answers import receipt_of
from lake.storage.store import Store


@dataclass(frozen=True)
class Trouble:
    """A place that does not answer: "" is the provider itself. Times are naive UTC."""

    place: str
    said: str
    failures: int
    since: datetime
    asked_again_at: datetime


@dataclass(frozen=True)
class Standing:
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


def standing(store: Store, lookup: Lookup, now: float, limit: int | None = None) -> Standing:
    """Return how a provider stands at a time (epoch seconds); `next` names up to `limit` of what would be asked."""
    found = wanted(store, lookup, naive(now))
    spent, _ = read_spent(store, lookup.name)
    return Standing(
        provider=lookup.name,
        kind=lookup.kind,
        answers=receipt_of(store, lookup.name).answers,
        waiting=found.observables,
        events=found.events,
        since=found.since,
        left=budget.left(spent, lookup.options, now),
        exhausted=budget.exhausted(spent, lookup.options, now),
        troubles=tuple(
            Trouble(place, each.said, each.failures, naive(each.since), naive(each.until))
            for place, each in sorted(spent.trouble.items())
            if each.until > now
        ),
        lacking=lookup.lacking,
        next=tuple(key.value for key in found.first[:limit]),
    )
