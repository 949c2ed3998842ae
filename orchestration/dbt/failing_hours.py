"""What a run does with hours whose data make a model fail: they are tried alone, then without the records to blame.

An hour never fails its source, and a record never its hour. The records that cause it are kept out of the hour's tables
and counted as `unprocessable`. An hour whose bronze is damaged waits until it has landed again; a damaged table that a
mart reads is put aside, so that it is stale. Nothing of this costs a run in which nothing fails.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lake import ledger
from lake.base.errors import REPAIR, tell_omission
from lake.build.run import Plan, Trial
from lake.build.search import NotAlone, isolate
from lake.build.unprocessable import (
    Part,
    Unprocessable,
    held_back_hours,
    is_of_data,
    is_of_neighbours,
    may_be_of_files,
    recorded,
    what_was_said,
)
from lake.marts.staleness import Tables, window
from lake.upkeep.broken_receipts import MISSING, Damage
from orchestration.dbt.request import Request, Search

_NAMED = 5  # hours with damaged bronze, in what is said of a model
# What the search costs a source in one build, at most; a dbt run takes seconds, a try 0.2 to 0.5 s.
_RUNS = 150  # dbt runs; an hour with one failing record takes about four
_TRIES = 2000  # of parts of hours
_TRIES_OF_RUNS = 60  # where each try is a dbt run, since DuckDB itself breaks
_ROUNDS = 20  # models of one hour that fail, one after the other
_HOPELESS = 3  # hours of a source whose records cannot be told apart: no other hour is searched
_IN_A_ROW = 12  # runs that fail one after the other, which are the halves of thousands of hours: then they all do


@dataclass
class Ran:
    """What became of a dbt run: `failures` are the models that failed or were skipped, with a sentence each.

    `errors` are what dbt said of each node that failed itself, by id. `kept_out` are records of the hours, by source.
    `put_aside` are files of tables that marts read, which were damaged, with their hours.
    """

    failures: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    kept_out: dict[str, tuple[Unprocessable, ...]] = field(default_factory=dict)
    put_aside: dict[str, str] = field(default_factory=dict)


Run = Callable[[Request, Sequence[str]], Ran]


def known_kept_out(request: Request, models: Sequence[str]) -> Request:
    """Return the request without the records that its hours are published without.

    Who builds all tables of a source tries all records again; of hours in which nothing else has changed, those alone
    that were held back.
    """
    if request.plan is None:
        return request
    store, mappings = request.store, request.project.mappings
    kept_out, suspected = dict(request.plan.kept_out), dict(request.plan.suspected)
    for source, hours in request.plan.hours.items():
        if source in kept_out:
            continue
        if not set(models) >= set(mappings.models_of(source)):
            found = recorded(store, source, hours)
        else:
            known = recorded(store, source, held_back_hours(store, mappings, source, hours))
            found = tuple(each for each in known if not each.is_held_back)
            suspected |= {source: tuple(each for each in known if each.is_held_back)} if known else {}
        kept_out |= {source: found} if found else {}
    return replace(request, plan=replace(request.plan, kept_out=kept_out, suspected=suspected))


def without_failing_records(request: Request, models: Sequence[str], ran: Ran, run: Run) -> Ran:
    """Return what becomes of a run after the hours that failed over their data were tried again."""
    if request.plan is None or not ran.failures:
        return ran
    told = Ran(dict(ran.failures), dict(ran.errors), dict(request.plan.kept_out))
    for source, hours in request.plan.hours.items():
        mine = [each for each in models if each in ran.failures and each.endswith(f"__{source}")]
        whys = _errors_of(request, source, ran)
        if not mine or not whys:
            continue
        damaged = _damaged_bronze(request, source, hours) if any(map(may_be_of_files, whys.values())) else {}
        if damaged or any(is_of_data(why) or is_of_neighbours(why) for why in whys.values()):
            _Again(request, source, run, told).try_hours(mine, hours, ran, damaged)
    if request.plan.marts and any(map(may_be_of_files, ran.errors.values())):
        _put_aside(request, told)
    return told


def _damaged_bronze(request: Request, source: str, hours: Sequence[str]) -> dict[str, Damage]:
    """Return, by event hour, a bronze file that is not as its receipt says."""
    from lake.upkeep.damage import damage_of  # only a run that fails asks

    receipts, wanted = ledger.landings(request.store, source, []), set(hours)
    by_key = {mark.key: mark.hour for receipt in receipts for mark in receipt.files if mark.hour in wanted}
    return {by_key[key]: found for key, found in damage_of(request.store, by_key.keys()).items()}


def _put_aside(request: Request, told: Ran) -> None:
    """Put damaged tables aside that failed marts read, and say so: their hours are stale then.

    A table that could not even be opened is named by the errors: then it alone is looked at.
    """
    from lake.upkeep.damage import damage_of
    from lake.upkeep.repair import aside

    plan, tables, marts = request.plan or Plan(), Tables(request.store), request.project.marts.by_name
    unopened = {*map(request.project.name, told.errors)} - plan.marts.keys()
    hours = {
        receipt.file: receipt.hour
        for mart in plan.marts.keys() & told.failures.keys()
        for read in marts[mart].reads
        for model in read.models
        if not unopened or model in unopened
        for receipt in tables.slots(model).within({window(read, hour) for hour in plan.marts[mart]})
    }
    for key, found in damage_of(request.store, hours.keys()).items():
        told.put_aside[key] = hours[key]
        now = "" if found.state == MISSING else f" and is now {aside(request.store, key)}"
        tell_omission(f"{key} {found.found}{now}; `headwater build` makes it again")


def _errors_of(request: Request, source: str, ran: Ran) -> dict[str, str]:
    project = request.project
    return {each: why for each, why in ran.errors.items() if project.sources_read(each) == {source}}


@dataclass
class _Again:
    """Tries the hours of one source again, and puts what comes of it into `told`. Counts bound what it tries."""

    request: Request
    source: str
    run: Run
    told: Ran
    hopeless: int = 0
    runs: int = 0
    in_a_row: int = 0
    tries: int = 0
    failed: dict[str, list[str]] = field(default_factory=dict)  # by model, the hours that are told to fail

    def try_hours(self, models: Sequence[str], hours: Sequence[str], ran: Ran, damaged: Mapping[str, Damage]) -> None:
        """Build hours that failed together in halves, the single ones without their failing records.

        Those that are `damaged` wait until they have landed again; if there are such, the others are tried together.
        """
        for name in (*models, *map(self.request.project.name, _errors_of(self.request, self.source, ran))):
            self.told.failures.pop(name, None)
        if not damaged:
            self._halve(models, hours, ran)
        elif sound := [hour for hour in hours if hour not in damaged]:
            self._try(models, sound)
        self._note(models, damaged)

    def _note(self, models: Sequence[str], damaged: Mapping[str, Damage]) -> None:
        """Note the hours that wait, for their bronze is damaged."""
        whys = [f"{hour} is not built, for {_advised(found)}" for hour, found in list(damaged.items())[:_NAMED]]
        more = [f"and {len(damaged) - _NAMED} more hours are damaged as well"] if len(damaged) > _NAMED else []
        for model in models if damaged else ():
            told = self.told.failures.get(model)
            self.told.failures[model] = "; ".join([*whys, *more, *([told] if told else [])])

    def _halve(self, models: Sequence[str], hours: Sequence[str], ran: Ran) -> None:
        whys = _errors_of(self.request, self.source, ran).values()
        if not any(is_of_data(why) or is_of_neighbours(why) for why in whys):
            self._fail(hours, ran)
        elif problem := self._gives_up(hours):
            self._fail(hours, ran, problem)
        elif len(hours) > 1:
            for half in (hours[: len(hours) // 2], hours[len(hours) // 2 :]):
                self._try(models, half)
        elif any(map(is_of_data, whys)):
            self._build_without(hours[0], ran)
        else:  # a neighbour that is not named broke DuckDB
            self._build_without(hours[0], self._ran(self._request(hours), models))

    def _gives_up(self, hours: Sequence[str]) -> str:
        """Return why hours that failed are not tried in parts; "" when they are."""
        if self.runs >= _RUNS or self.tries >= _TRIES:
            return f"not searched after {self.runs:,} runs over {self.source} in this build; the next build goes on"
        if self.hopeless >= _HOPELESS and (len(hours) == 1 or self.in_a_row >= _IN_A_ROW):
            return f"not searched, for {self.hopeless} hours have too many records that fail"
        return ""

    def _try(self, models: Sequence[str], hours: Sequence[str]) -> None:
        ran = self._ran(self._request(hours), models)
        if ran.failures:
            self._halve([each for each in models if each in ran.failures], hours, ran)

    def _ran(self, request: Request, models: Sequence[str]) -> Ran:
        ran = self.run(request, models)
        self.runs += 1
        self.in_a_row = self.in_a_row + 1 if ran.failures else 0
        return ran

    def _build_without(self, hour: str, ran: Ran) -> None:
        """Build all tables of an hour, without the records that its models fail over."""
        every, kept_out, problem = self.request.project.mappings.models_of(self.source), list[Unprocessable](), ""
        before = [each for each in self._kept_out() if each.hour != hour]
        for _ in range(_ROUNDS):
            whys = {each: why for each, why in _errors_of(self.request, self.source, ran).items() if is_of_data(why)}
            if not whys:
                break
            try:
                kept_out += self._found(hour, next(iter(whys)), (*before, *kept_out))
            except NotAlone as found:
                self.hopeless += 1
                problem = f"{found}; mend {self.request.project.name(next(iter(whys)))}, or what the source sends"
                break
            ran = self._ran(self._request([hour], (*before, *kept_out)), every)
        if ran.failures:
            self._fail([hour], ran, problem)
        self.told.kept_out[self.source] = (*before, *kept_out)

    def _found(self, hour: str, culprit: str, kept_out: Sequence[Unprocessable]) -> list[Unprocessable]:
        """Return the records of an hour that a model fails over."""
        name = self.request.project.name(culprit)
        suspected = frozenset(each.record for each in self._suspected() if each.hour == hour)
        search = Search(self.source, suspected=suspected - {each.record for each in kept_out})
        ran = self._ran(replace(self._request([hour], kept_out), search=search), [name])
        self.tries += search.tries
        found, problem = search.found, search.problem
        if search.is_broken:
            attempt = partial(self._failing, hour, name, kept_out)
            found, problem = isolate(search.records, attempt, min(_TRIES_OF_RUNS, max(_RUNS - self.runs, 0))), ""
        if not found:
            raise NotAlone(problem or f"no record fails alone; {next(iter(ran.failures.values()), '')}".strip("; "))
        return found.kept_out(hour, name)

    def _failing(self, hour: str, name: str, kept_out: Sequence[Unprocessable], part: Part) -> str:
        """Return the error of a model over some records of an hour, by a dbt run of its own; "" when it works."""
        with tempfile.TemporaryDirectory(prefix="headwater-search-") as folder:
            request = replace(
                self._request([hour], kept_out), search=Search(self.source, part), trial=Trial(Path(folder))
            )
            ran = self._ran(request, [name])
        return what_was_said(next(iter(ran.errors.values()), "")) if ran.failures else ""

    def _request(self, hours: Sequence[str], kept_out: Sequence[Unprocessable] | None = None) -> Request:
        out = self._kept_out() if kept_out is None else tuple(kept_out)
        plan = Plan({self.source: tuple(hours)}, kept_out={self.source: out})
        return replace(self.request, plan=plan)

    def _kept_out(self) -> tuple[Unprocessable, ...]:
        return self.told.kept_out.get(self.source, ())

    def _suspected(self) -> Sequence[Unprocessable]:
        return self.request.plan.suspected.get(self.source, ()) if self.request.plan else ()

    def _fail(self, hours: Sequence[str], ran: Ran, problem: str = "") -> None:
        """Note why models failed; the first hour is named where several did."""
        for model, why in ran.failures.items():
            before = self.failed.setdefault(model, [])
            first = self.told.failures[model].partition(": ")[2] if before else f"{why} ({problem})" if problem else why
            before += hours
            more = f" and {len(before) - 1} more hours" if len(before) > 1 else ""
            self.told.failures[model] = f"{before[0]}{more}: {first}"


def _advised(damage: Damage) -> str:
    """Return what is wrong with a bronze file, and what to do."""
    return f"{damage.key} {damage.found}: " + ("" if damage.state == MISSING else f"{REPAIR}, and ") + damage.advice


def in_sentences(kept_out: Mapping[str, Sequence[Unprocessable]]) -> list[str]:
    """Return a sentence for each source that has records which are kept out."""
    return [_sentence(source, records) for source, records in sorted(kept_out.items()) if records]


def _sentence(source: str, records: Sequence[Unprocessable]) -> str:
    hours = sorted({each.hour for each in records})
    events, are = ("1 event", "is") if len(records) == 1 else (f"{len(records):,} events", "are")
    more = f" and {len(hours) - 1} more hours" if len(hours) > 1 else ""
    held = sum(each.is_held_back for each in records)
    late = f"; {held:,} of them were not told apart from one that fails in time, and the next build goes on"
    return (
        f"{source}: {events} of {hours[0]}{more} cannot be processed and {are} kept out of its tables"
        f' ({records[0].error}); the raw text stays in bronze, `headwater query "from ledger.dispositions where'
        f" disposition = 'unprocessable'\"` lists them, and a changed mapping tries them again{late if held else ''}"
    )
