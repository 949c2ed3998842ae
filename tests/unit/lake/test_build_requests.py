"""Stale hours are requested in runs without a gap, each once per state, a bounded number at a time."""

from lake.build.requests import MOST_HOURS, MOST_RUNS, StaleHour, choose
from lake.ledger.staleness import Stale

SOURCE = "aws_cloudtrail"
MODEL = f"dispositions__{SOURCE}"


def _stale(hour: str, models: tuple[str, ...] = (MODEL,), mark: str = "m") -> StaleHour:
    return StaleHour(Stale(SOURCE, hour, models, "never built"), mark)


def test_hours_without_a_gap_and_of_the_same_models_are_one_run() -> None:
    found = [
        _stale("2026-03-02T05"),
        _stale("2026-03-02T06"),
        _stale("2026-03-02T07", (MODEL, "x")),
        _stale("2026-03-02T09"),
    ]
    runs, _ = choose(found, {})
    hours = [[each.stale.hour for each in run] for run in runs]
    assert hours == [["2026-03-02T05", "2026-03-02T06"], ["2026-03-02T07"], ["2026-03-02T09"]]


def test_one_tick_requests_a_bounded_number_of_runs_and_the_next_goes_on() -> None:
    days = [_stale(f"2026-03-{day:02d}T05") for day in range(1, MOST_RUNS + 3)]
    runs, requested = choose(days, {})
    assert len(runs) == MOST_RUNS
    runs, requested = choose(days, requested)
    assert [run[0].stale.hour for run in runs] == [each.stale.hour for each in days[MOST_RUNS:]]
    assert choose(days, requested)[0] == []


def test_a_run_holds_a_bounded_number_of_hours() -> None:
    hours = [_stale(f"2026-03-{1 + n // 24:02d}T{n % 24:02d}") for n in range(MOST_HOURS + 2)]
    assert [len(run) for run in choose(hours, {})[0]] == [MOST_HOURS, 2]


def test_what_is_no_longer_stale_is_forgotten() -> None:
    _, requested = choose([_stale("2026-03-02T05")], {})
    assert choose([], requested)[1] == {}
