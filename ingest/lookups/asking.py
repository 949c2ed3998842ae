"""Asking a provider about what events wait for: each observable once in the lifetime of its answer, within the budget.

What belongs here: the order of steps, and what happens when a step fails. What does not: the counting (`budget`), one
request (`client`), what an answer means (`providers/`).

Each request, with what is charged before it and the answers that are written after it, happens under a lock of the
provider in the lake. So any number of processes may ask at once: they spend one budget, and nothing is asked twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingest.lookups import budget
from ingest.lookups.client import Client, KeyRefused, LookupFailed, Throttled, wait_asked
from ingest.lookups.kinds import Lookup
from ingest.lookups.never_sent import hex_of
from ingest.lookups.provider import Answer, Provider
from ingest.lookups.state import answer_rows, held_answers, naive, read_spent, write_spent
from ingest.reference.observable_keys import NotObservable, ObservableKey, observable_key
from ingest.transports.clock import SYSTEM_CLOCK, Clock
from ingest.transports.fetch_errors import FetchError, MissingCredentials
from lake.answers import add_answers, receipt_of
from lake.pending import Waiting, backlog, pending_receipts
from lake.publish import Workplace
from lake.store import Conflict, LostLock, Store

MOST_AT_ONCE = 50_000  # observables of one run; no plan of a provider answers more in an hour
_TRIES = 3
_TRY_PAUSE_SECONDS = 2.0
_FAILURES_IN_A_ROW = 3  # of different questions, then it is the place that is in trouble and not the question
_ASIDE_SECONDS = 3600.0
_NOBODY, _DIRECTORY = "nobody", "who answers"  # places that are none: no request, and finding out whom to ask


class BudgetSpent(FetchError):
    """A day's or a month's budget has nothing left."""


@dataclass
class Asked:
    """What one run did. `stopped` says why it ended with observables still waiting, else ""; `failures` what failed."""

    provider: str
    waiting: int = 0
    answered: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    stopped: str = ""
    failures: list[str] = field(default_factory=list)
    needs_look: bool = False  # somebody has to change something: a key is missing, wrong, or not allowed to ask

    @property
    def left(self) -> int:
        """Return how many observables still wait."""
        return self.waiting - self.answered


@dataclass(frozen=True)
class Wanted:
    """An observable to ask about, and who waits for it."""

    key: ObservableKey
    who: Waiting


@dataclass(frozen=True)
class Todo:
    """What a provider is to be asked about: the first of it, and how many observables and events there are in all."""

    first: tuple[Wanted, ...]
    observables: int
    events: int
    since: str


def wanted(store: Store, lookup: Lookup, now: datetime) -> Todo:
    """Return what events wait for, may be sent, and has no valid answer; the longest waiting first."""
    found = backlog(store, pending_receipts(store), lookup.name, now, MOST_AT_ONCE)
    guard, first = lookup.guard, []
    for each in found.first:
        try:
            key = observable_key(each.kind, each.value)
        except NotObservable:
            continue
        if guard.may_send(key):
            first.append(Wanted(key, each))
    left_out = len(found.first) - len(first)  # the settings have become stricter since the hours were built
    return Todo(tuple(first), found.observables - left_out, found.events, found.since)


def ask_pending(
    store: Store,
    lookup: Lookup,
    limit: int | None = None,
    clock: Clock = SYSTEM_CLOCK,
    most_seconds: float | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Asked:
    """Ask a provider about what events wait for: at most `limit` observables, starting no request after `most_seconds`.

    Nothing raises that has to do with the provider: what failed is told, and waits.
    """
    todo = wanted(store, lookup, naive(clock.now()))
    done = Asked(lookup.name, waiting=todo.observables)
    if not todo.first:
        return done
    if lookup.lacking:
        done.stopped, done.needs_look = lookup.lacking, True
        return done
    ends = None if most_seconds is None else clock.now() + most_seconds
    with Workplace(store, "lookup") as place:
        run = _Run(store, lookup, clock, place, done, told)
        run.ask_all([each.key for each in todo.first[:limit]], ends)
    return done


class _Run:
    """One run over one provider."""

    def __init__(
        self, store: Store, lookup: Lookup, clock: Clock, place: Workplace, done: Asked, told: Callable[[str], None]
    ) -> None:
        self._store, self._lookup, self._clock, self._workplace = store, lookup, clock, place
        self._done, self._told = done, told
        options = lookup.options
        self._client = Client(
            lookup.name,
            options.base_url,
            options.key_env,
            timeout_seconds=options.timeout_seconds,
            clock=clock,
            charge=self._charge,
            observe=self._observe,
        )
        self._provider: Provider = lookup.open(self._client)
        self._spent, self._mark = budget.Spent(), ""
        self._held: dict[tuple[str, str], datetime] = {}
        self._version = -1
        self._in_a_row: dict[str, int] = {}
        self._nothing_left: float | None = None

    def ask_all(self, keys: Sequence[ObservableKey], ends: float | None) -> None:
        """Ask until nothing is left, or nothing more can be asked now."""
        todo = list(keys)
        while todo:
            if ends is not None and self._clock.now() >= ends:
                self._done.stopped = "the time of this run is over"
                return
            try:
                with self._store.lock(f"lookups-{self._lookup.name}") as lease:
                    self._look()
                    batch, place = self._next(todo)
                    if not batch:
                        return
                    lease.check()
                    asked = self._ask(batch, place)
            except (BudgetSpent, KeyRefused, MissingCredentials) as problem:
                self._done.stopped = str(problem)
                self._done.needs_look = not isinstance(problem, BudgetSpent)
                return
            except (Conflict, LostLock):
                self._done.stopped = f"{self._lookup.name}: another process writes its record; run it again"
                return
            todo = [key for key in todo if key not in asked]

    def _look(self) -> None:
        """Read what other processes have spent and learnt."""
        self._spent, self._mark = read_spent(self._store, self._lookup.name)
        version = receipt_of(self._store, self._lookup.name).version
        if version != self._version:
            self._held, self._version = held_answers(self._store, self._lookup.name), version

    def _next(self, todo: list[ObservableKey]) -> tuple[list[ObservableKey], str]:
        """Return the next observables of one place; those that need not be asked any more leave `todo`."""
        self._leave_out(todo)
        said: list[str] = []
        batch: list[ObservableKey] = []
        chosen, size = "", self._batch_size()
        for key in todo:
            if self._spent.set_aside.get(_named(key), 0.0) > self._clock.now():
                said.append("what failed is asked again in an hour")
                continue
            place = self._place(key, said)
            if place is not None and (not batch or place == chosen):
                chosen = place
                batch.append(key)
                if len(batch) == size:
                    break
        if not batch and said:
            self._done.stopped = said[-1]
        return batch, chosen

    def _leave_out(self, todo: list[ObservableKey]) -> None:
        """Remove what others have asked meanwhile, and what the provider does not answer, which needs no request."""
        for key in [key for key in todo if self._is_held(key)]:
            todo.remove(key)
            self._done.waiting -= 1
        if refused := [key for key in todo if not self._provider.takes(key)]:
            self._keep({key: Answer("refused") for key in refused}, _NOBODY)
            todo[:] = [key for key in todo if key not in refused]

    def _place(self, key: ObservableKey, said: list[str]) -> str | None:
        """Return who answers an observable; None, with why, when that is unknown or who is to be left alone."""
        if trouble := self._troubled(_DIRECTORY):
            said.append(trouble)
            return None
        try:
            place = self._provider.place(key)
        except (LookupFailed, Throttled) as problem:
            self._trouble(_DIRECTORY, str(problem), getattr(problem, "wait", None))
            said.append(str(problem))
            return None
        if trouble := self._troubled(place):
            said.append(trouble)
            return None
        return place

    def _troubled(self, place: str) -> str:
        found = budget.in_trouble(self._spent, place, self._clock.now())
        return f"{found.said}; asked again from {_utc(found.until)} on" if found else ""

    def _is_held(self, key: ObservableKey) -> bool:
        return self._held.get((key.kind, hex_of(key)), datetime.min) > naive(self._clock.now())

    def _batch_size(self) -> int:
        """Return how many observables go into a request: where these are counted, no more than are left."""
        if self._provider.counts == "requests":
            return self._provider.batch
        left = budget.left(self._spent, self._lookup.options, self._clock.now())
        limits = [left["day"], left["month"], self._lookup.options.per_minute]
        return max(1, min([self._provider.batch, *(each for each in limits if each is not None)]))

    def _ask(self, batch: list[ObservableKey], place: str) -> set[ObservableKey]:
        """Ask about a batch, a few times if need be; return what need not be asked again in this run."""
        tries = 1 if place in self._spent.trouble else _TRIES  # who was in trouble gets one question, to see
        for left in reversed(range(tries)):
            self._nothing_left = None
            try:
                answers = self._answers(batch)
            except Throttled as problem:
                self._trouble(place, str(problem), problem.wait)
                return set()
            except LookupFailed as problem:
                self._note(str(problem))
                if not left:
                    return self._give_up(batch, place, str(problem))
                batch = batch[: max(1, len(batch) // 2)]  # it may be one of them
                self._clock.sleep(_TRY_PAUSE_SECONDS * (tries - left))
                continue
            self._keep(answers, place)
            return set(batch)
        return set()

    def _answers(self, batch: list[ObservableKey]) -> dict[ObservableKey, Answer]:
        """Return what the provider said; a body that is JSON but not what was published is no answer either."""
        try:
            return self._provider.ask(batch)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
            said = f"{self._lookup.name}: the answer has another shape than published ({type(problem).__name__})"
            raise LookupFailed(said) from problem

    def _keep(self, answers: dict[ObservableKey, Answer], place: str) -> None:
        """Write answers; after this a kill loses nothing that was paid for."""
        now = self._clock.now()
        if answers:
            rows = answer_rows(self._lookup.name, answers, self._held, self._lookup.options, now)
            receipt = add_answers(self._store, self._workplace, self._lookup.name, rows, naive(now))
            self._version = receipt.version
            for row in rows.to_pylist():
                self._held[row["kind"], row["key"]] = row["valid_to"]
        for answer in answers.values():
            self._done.answered += 1
            self._done.by_status[answer.status] = self._done.by_status.get(answer.status, 0) + 1
        self._in_a_row.pop(place, None)
        spent = budget.answered(budget.answered(self._spent, place, tuple(map(_named, answers))), _DIRECTORY, ())
        if self._nothing_left is not None:
            said = f"{self._lookup.name}: its own limit is reached (nothing remains)"
            spent = budget.failed(spent, place, said, now, self._nothing_left)
        self._write(spent)
        self._told(f"{self._lookup.name}: {self._done.answered} of {self._done.waiting} answered")

    def _give_up(self, batch: list[ObservableKey], place: str, said: str) -> set[ObservableKey]:
        """Put questions aside that failed; after some in a row, or in trouble already, leave the place alone."""
        now = self._clock.now()
        self._in_a_row[place] = self._in_a_row.get(place, 0) + 1
        aside = budget.put_aside(self._spent, tuple(map(_named, batch)), now + _ASIDE_SECONDS)
        if place in self._spent.trouble or self._in_a_row[place] >= _FAILURES_IN_A_ROW:
            self._spent = aside
            self._trouble(place, said, None)
        else:
            self._write(aside)
        return set(batch)

    def _trouble(self, place: str, said: str, wait: float | None) -> None:
        self._note(said)
        self._write(budget.failed(self._spent, place, said, self._clock.now(), wait))

    def _note(self, said: str) -> None:
        if said not in self._done.failures:
            self._done.failures.append(said)
            self._told(said)

    def _charge(self, cost: int) -> None:
        """Write down what the next request costs, before it goes out; wait for the minute's budget."""
        options = self._lookup.options
        cost = cost if self._provider.counts == "observables" else 1
        while (wait := budget.seconds_for_minute(self._spent, options, cost, self._clock.now())) > 0:
            self._clock.sleep(wait)
        if spent := budget.exhausted(self._spent, options, self._clock.now()):
            raise BudgetSpent(f"{self._lookup.name}: {spent}")
        self._write(budget.charged(self._spent, cost, self._clock.now()))
        self._done.requests += 1

    def _observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer that it was the last one for now."""
        if budget.remaining(headers) == 0:
            self._nothing_left = wait_asked(headers, self._clock.now()) or budget.MINUTE

    def _write(self, spent: budget.Spent) -> None:
        self._mark = write_spent(self._store, self._lookup.name, spent, self._mark)
        self._spent = spent


def _utc(at: float) -> str:
    return f"{naive(at).isoformat(timespec='seconds')}Z"


def _named(key: ObservableKey) -> str:
    return f"{key.kind}:{key.value}"
