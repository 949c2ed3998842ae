"""Hours that fail are searched by counts that have an end; what is given up is told, and sound hours are built."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lake.build.run import Plan
from lake.build.search import MOST_TRIES, Isolated, NotAlone, isolate
from lake.build.unprocessable import Part, Record
from lake.storage.publish import open_store
from orchestration.dbt.failing_hours import Ran, without_failing_records
from orchestration.dbt.request import Request, Search

SOURCE, MODEL = "okta_system_log", "base_event__okta_system_log"
HOURS = [f"{datetime(2026, 3, 2) + timedelta(hours=number):%Y-%m-%dT%H}" for number in range(2000)]
EACH = 1000  # records of an hour
RECORDS = [Record("batch", "object", number) for number in range(EACH)]
ERROR = "Runtime Error in model x\n  Conversion Error: Could not convert string"
DEAD = "FATAL Error: Failed: database has been invalidated because of a previous fatal error"
PROJECT: Any = SimpleNamespace(
    mappings=SimpleNamespace(models_of=lambda source: [MODEL]),
    marts=SimpleNamespace(by_name={}),
    sources_read=lambda unique_id: {SOURCE},
    name=lambda unique_id: unique_id.rpartition(".")[2],
)


class Runs:
    """What dbt would do with records that fail: by hour, the rows of which a model fails."""

    def __init__(self, bad: dict[str, Collection[int]], error: str = ERROR, breaks: bool = False) -> None:
        self.bad, self.error, self.breaks = bad, error, breaks
        self.runs = self.tries = 0
        self.built: set[str] = set()

    def __call__(self, request: Request, models: Sequence[str]) -> Ran:
        self.runs += 1
        plan, search = request.plan or Plan(), request.search
        out = {(each.hour, each.record.source_row) for each in plan.kept_out.get(SOURCE, ())}
        (hour, *_) = hours = plan.hours[SOURCE]
        if search is not None and search.part is None:
            self._search(search, [row for row in self.bad[hour] if (hour, row) not in out])
            return Ran()
        part = (
            range(search.part[0].source_row, search.part[1].source_row + 1) if search and search.part else range(EACH)
        )
        failing = [row for each in hours for row in self.bad.get(each, ()) if (each, row) not in out and row in part]
        if failing:
            return Ran({MODEL: self.error}, {f"model.x.{MODEL}": self.error})
        self.built |= {*hours} if search is None else set()
        return Ran()

    def _search(self, search: Search, bad: Collection[int]) -> None:
        search.records = RECORDS
        search.is_broken = self.breaks

        def attempt(part: Part) -> str:
            search.tries += 1
            return "no" if any(part[0].source_row <= row <= part[1].source_row for row in bad) else ""

        try:
            search.found = Isolated() if self.breaks else isolate(search.records, attempt)
        except NotAlone as problem:
            search.problem = str(problem)
        self.tries += search.tries


@pytest.fixture(autouse=True)
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty lake: whether bronze is damaged is looked up there."""
    monkeypatch.chdir(tmp_path)


def tried(runs: Runs, hours: Sequence[str] = HOURS) -> Ran:
    settings: Any = None
    request = Request(settings, open_store("lake"), PROJECT, Plan({SOURCE: tuple(hours)}))
    return without_failing_records(request, [MODEL], runs(request, [MODEL]), runs)


def test_one_record_of_one_hour_costs_few_runs() -> None:
    runs = Runs({HOURS[1234]: [77]})
    ran = tried(runs)
    assert ({}, {HOURS[1234]: 77}) == (
        ran.failures,
        {each.hour: each.record.source_row for each in ran.kept_out[SOURCE]},
    )
    assert {*HOURS} == runs.built
    assert runs.runs <= 30


@pytest.mark.parametrize("bad", [range(EACH), range(0, EACH, 2)], ids=["all", "every second"])
def test_a_fault_of_all_hours_costs_few_runs_and_few_tries(bad: Collection[int]) -> None:
    runs = Runs(dict.fromkeys(HOURS, bad))
    (told,) = tried(runs).failures.values()
    assert told.startswith(f"{HOURS[0]} and 1999 more hours: {ERROR} (")
    assert told.endswith(f" of 16 records that were tried one by one fail; mend {MODEL}, or what the source sends)")
    assert (runs.runs, runs.tries) < (40, 200)


def test_hours_that_fail_for_many_records_leave_the_sound_ones_be() -> None:
    runs = Runs(dict.fromkeys(HOURS[::400], range(EACH)))
    (told,) = tried(runs).failures.values()
    assert told.startswith(f"{HOURS[0]} and 4 more hours: ")
    assert {*HOURS} - {*HOURS[::400]} == runs.built


def test_a_record_of_each_hour_is_found_as_far_as_the_runs_of_a_build_reach() -> None:
    runs = Runs({hour: [500] for hour in HOURS})
    ran = tried(runs)
    assert 30 < len(ran.kept_out[SOURCE]) == len(runs.built) < 60
    assert runs.runs < 200
    left = len(HOURS) - len(runs.built)
    (told,) = ran.failures.values()
    assert f" and {left - 1} more hours: " in told
    assert told.endswith(f" runs over {SOURCE} in this build; the next build goes on)")


def test_many_records_of_many_hours_are_searched_for_no_longer_than_the_tries_reach() -> None:
    runs = Runs({hour: range(0, EACH, 20) for hour in HOURS})
    assert tried(runs).failures
    assert 2000 <= runs.tries < 2000 + MOST_TRIES
    assert runs.built


@pytest.mark.parametrize("error", ["INTERNAL Error: Attempted to access index 1", DEAD])
def test_a_record_that_breaks_duckdb_is_looked_for_by_few_runs(error: str) -> None:
    runs = Runs({hour: range(0, EACH, 10) for hour in HOURS[:20]}, error, breaks=True)
    assert tried(runs, HOURS[:20]).failures
    assert runs.runs < 260
    one = Runs({HOURS[3]: [9]}, "INTERNAL Error: Attempted to access index 1", breaks=True)
    assert not tried(one, HOURS[:20]).failures
    assert one.runs < 40
