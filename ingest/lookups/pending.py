"""What a provider is to be asked about.

What belongs here: from what events wait for to observables that may be sent. What does not: asking (`asking`).
"""

from dataclasses import dataclass
from datetime import datetime

from ingest.lookups.kinds import Lookup
from ingest.reference.observables import NotObservable, ObservableKey, observable_key
from lake.ledger.pending_lookups import backlog, pending_receipts
from lake.storage.store import Store

MOST_AT_ONCE = 50_000  # observables of one run; no plan of a provider answers more in an hour


@dataclass(frozen=True)
class Wanted:
    """The first observables to ask about, and how many there are in all, of how many events, waiting since when."""

    first: tuple[ObservableKey, ...]
    observables: int
    events: int
    since: str


def wanted(store: Store, lookup: Lookup, now: datetime) -> Wanted:
    """Return what events wait for, may be sent, and has no answer that is valid; the longest waiting first."""
    found = backlog(store, pending_receipts(store), lookup.name, now, MOST_AT_ONCE)
    guard = lookup.guard
    keys = (_key(each.kind, each.value) for each in found.first)
    first = tuple(dict.fromkeys(key for key in keys if key is not None and guard.may_send(key)))
    left_out = len(found.first) - len(first)  # the settings have become stricter since the hours were built
    return Wanted(first, found.observables - left_out, found.events, found.since)


def _key(kind: str, value: str) -> ObservableKey | None:
    try:
        return observable_key(kind, value)
    except NotObservable:
        return None
