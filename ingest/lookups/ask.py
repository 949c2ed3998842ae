"""Asking a provider about what events wait for: each observable once in the lifetime of its answer, within the budget.

Each request, with what is charged before it and the answers that are written after it, happens under a lock of the
provider in the lake. So any number of processes may ask at once: they spend one budget, and nothing is asked twice.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from ingest.lookups.budget import BudgetSpent, BudgetStore, utc
from ingest.lookups.client import Client, KeyRefused, LookupFailed, Throttled
from ingest.lookups.pending import pending
from ingest.lookups.provider import Answer, Lookup, LookupOptions
from ingest.reference.observables import ObservableKey
from ingest.transports.fetch_errors import MissingCredentials
from lake.base.http import SYSTEM_CLOCK, Clock
from lake.ledger.lookup_answers import FIRST, add_answers, answers_sql, receipt_of, schema
from lake.storage.duck import connect
from lake.storage.publish import Workplace
from lake.storage.store import Conflict, LostLock, Store

_ADDED = ("status", "asked_at", "expires_at")  # an event adds these itself
_TRIES = 3
_TRY_PAUSE_SECONDS = 2.0
_FAILURES_IN_A_ROW = 3  # of different questions, then it is the place that is in trouble and not the question
_NOBODY, _DIRECTORY = "nobody", "who answers"  # places that are none: no request, and finding out whom to ask


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


def ask_pending(
    store: Store,
    lookup: Lookup,
    limit: int | None = None,
    clock: Clock = SYSTEM_CLOCK,
    most_seconds: float | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Asked:
    """Ask a provider about what events wait for: at most `limit` observables, starting no request after `most_seconds`.

    A failure of the provider raises nothing: it is reported in the result, and its observables wait.

    Raises:
        BrokenReceipt: the record of what was spent, or that of the answers, cannot be read.
    """
    todo = pending(store, lookup, utc(clock.now()))
    done = Asked(lookup.name, waiting=todo.observables)
    if not todo.first:
        return done
    if lookup.lacking:
        done.stopped, done.needs_look = lookup.lacking, True
        return done
    ends = None if most_seconds is None else clock.now() + most_seconds
    with Workplace(store, "lookup") as place:
        run = _Run(store, lookup, clock, place, done, told)
        run.ask_all(todo.first[:limit], ends)
    return done


class _Run:
    """One run over one provider."""

    def __init__(
        self, store: Store, lookup: Lookup, clock: Clock, place: Workplace, done: Asked, told: Callable[[str], None]
    ) -> None:
        self._store, self._lookup, self._clock, self._workplace = store, lookup, clock, place
        self._done, self._told = done, told
        self._budget = BudgetStore(store, lookup, clock)
        self._provider = lookup.open(_client(lookup, clock, self._budget))
        self._todo: dict[ObservableKey, None] = {}
        self._held: dict[tuple[str, str], datetime] = {}
        self._version = -1
        self._in_a_row: dict[str, int] = {}

    def ask_all(self, keys: Sequence[ObservableKey], ends: float | None) -> None:
        """Ask until nothing is left, or nothing more can be asked now."""
        self._todo = dict.fromkeys(keys)
        try:
            while self._todo and (ends is None or self._clock.now() < ends):
                with self._store.lock(f"lookups-{self._lookup.name}") as lease:
                    self._look()
                    batch, place = self._next()
                    lease.check()
                    if batch:
                        self._ask(batch, place)
            if self._todo:
                self._done.stopped = "the time of this run is over"
        except (BudgetSpent, KeyRefused, MissingCredentials) as problem:
            self._done.stopped = str(problem)
            self._done.needs_look = not isinstance(problem, BudgetSpent)
        except (Conflict, LostLock):
            self._done.stopped = f"{self._lookup.name}: another process writes its record; run it again"
        finally:
            self._done.requests = self._budget.requests

    def _look(self) -> None:
        """Read what other processes have spent, and leave out what they have asked or what needs no request."""
        self._budget.look()
        version = receipt_of(self._store, self._lookup.name).version
        if version == self._version:
            return
        self._held, self._version = _held_answers(self._store, self._lookup.name), version
        now = utc(self._clock.now())
        for key in [key for key in self._todo if self._held.get((key.kind, key.hex), datetime.min) > now]:
            del self._todo[key]
            self._done.waiting -= 1
        if refused := [key for key in self._todo if not self._provider.takes(key)]:
            self._keep({key: Answer("refused") for key in refused}, _NOBODY)

    def _next(self) -> tuple[list[ObservableKey], str]:
        """Return the next observables of one place. What cannot be asked now is left for another run."""
        batch: list[ObservableKey] = []
        chosen, size = "", self._batch_size()
        for key in list(self._todo):
            if len(batch) == size:
                break
            if why := self._why_not(key):
                self._done.stopped = why
                del self._todo[key]
                continue
            place = self._provider.place(key)
            if not batch or place == chosen:
                chosen = place
                batch.append(key)
        return batch, chosen

    def _why_not(self, key: ObservableKey) -> str:
        """Return why an observable cannot be asked about now, or ""."""
        if self._budget.is_aside(key):
            return "what failed is asked again in an hour"
        if trouble := self._budget.trouble(_DIRECTORY):
            return trouble
        try:
            return self._budget.trouble(self._provider.place(key))
        except (LookupFailed, Throttled) as problem:
            self._trouble(_DIRECTORY, str(problem), getattr(problem, "wait", None))
            return str(problem)

    def _batch_size(self) -> int:
        """Return how many observables go into a request: where these are counted, no more than are left."""
        room = self._budget.room() if self._provider.counts == "observables" else None
        return max(1, self._provider.batch if room is None else min(room, self._provider.batch))

    def _ask(self, batch: list[ObservableKey], place: str) -> None:
        """Ask about a batch, a few times if need be."""
        tries = 1 if self._budget.has_failed(place) else _TRIES  # who was in trouble gets one question, to see
        for left in reversed(range(tries)):
            try:
                self._keep(self._answers(batch), place)
                for key in batch:  # what was not answered is asked about in another run
                    self._todo.pop(key, None)
                return
            except Throttled as problem:
                self._trouble(place, str(problem), problem.wait)
                return
            except LookupFailed as problem:
                self._note(str(problem))
                if not left:
                    self._give_up(batch, place, str(problem))
                    return
            batch = batch[: max(1, len(batch) // 2)]  # it may be one of them
            self._clock.sleep(_TRY_PAUSE_SECONDS * (tries - left))

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
            rows = _answer_rows(self._lookup.name, answers, self._held, self._lookup.options, now)
            receipt = add_answers(self._store, self._workplace, self._lookup.name, rows, utc(now))
            self._version = receipt.version
            for row in rows.to_pylist():
                self._held[row["kind"], row["key"]] = row["valid_to"]
        for key, answer in answers.items():
            del self._todo[key]
            self._done.answered += 1
            self._done.by_status[answer.status] = self._done.by_status.get(answer.status, 0) + 1
        self._in_a_row.pop(place, None)
        if place != _NOBODY:
            self._budget.answered((place, _DIRECTORY), list(answers))
        self._told(f"{self._lookup.name}: {self._done.answered} of {self._done.waiting} answered")

    def _give_up(self, batch: list[ObservableKey], place: str, said: str) -> None:
        """Put questions aside that failed; after some in a row, or in trouble already, leave the place alone."""
        for key in batch:
            del self._todo[key]
        self._in_a_row[place] = self._in_a_row.get(place, 0) + 1
        self._budget.put_aside(batch)
        if self._budget.has_failed(place) or self._in_a_row[place] >= _FAILURES_IN_A_ROW:
            self._trouble(place, said, None)

    def _trouble(self, place: str, said: str, wait: float | None) -> None:
        self._note(said)
        self._budget.failed(place, said, wait)

    def _note(self, said: str) -> None:
        if said not in self._done.failures:
            self._done.failures.append(said)
            self._told(said)


def _client(lookup: Lookup, clock: Clock, budget: BudgetStore) -> Client:
    options = lookup.options
    return Client(
        lookup.name,
        options.base_url,
        options.key_env,
        lookup.module.KEY_HEADER,
        timeout_seconds=options.timeout_seconds,
        clock=clock,
        charge=budget.charge,
        observe=budget.observe,
    )


def _held_answers(store: Store, provider: str) -> dict[tuple[str, str], datetime]:
    """Return until when there are answers of a provider: (kind, key) → naive UTC."""
    with connect(store) as con:
        rows = con.execute(
            f"select kind, key, max(valid_to) from ({answers_sql(store, [provider])}) group by all"
        ).fetchall()
    return {(kind, key): until for kind, key, until in rows}


def _answer_rows(
    provider: str,
    answers: Mapping[ObservableKey, Answer],
    held: Mapping[tuple[str, str], datetime],
    options: LookupOptions,
    now: float,
) -> pa.Table:
    """Return answers as rows: each holds from when the one before it expired, the first from 1970."""
    asked_at = utc(now)
    return pa.Table.from_pylist(list(_rows(provider, answers, held, options, asked_at)), schema())


def _rows(
    provider: str,
    answers: Mapping[ObservableKey, Answer],
    held: Mapping[tuple[str, str], datetime],
    options: LookupOptions,
    asked_at: datetime,
) -> Iterable[dict[str, object]]:
    for key, answer in answers.items():
        hours = options.lifetime_hours if answer.status == "known" else options.negative_lifetime_hours
        digits = key.hex
        yield {
            "provider": provider,
            "kind": key.kind,
            "value": key.value,
            "prefix": key.prefix,
            "key_high": key.high,
            "key_low": key.low,
            "key": digits,
            "status": answer.status,
            "data": _compact(answer.data),
            "score": answer.score,
            "score_id": answer.score_id,
            "asked_at": asked_at,
            "valid_from": held.get((key.kind, digits), FIRST),
            "valid_to": asked_at + timedelta(hours=hours),
            "learned_at": asked_at,
        }


def _compact(data: Mapping[str, object]) -> str:
    """Return useful fields as JSON, without names that an event adds of itself (`lake/ocsf/context/answers.py`)."""
    kept = {name: value for name, value in data.items() if name not in _ADDED}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
