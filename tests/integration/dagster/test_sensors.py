"""The sensor requests the hours that are stale, each once per state, and none that is no partition."""

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.contracts import load_contracts
from lake.ledger.staleness import Stale
from orchestration.automation.stale_hours import MOST_HOURS, MOST_RUNS, StaleHour, choose, stale_sensor
from orchestration.settings import ObjectSource, Settings
from orchestration.steps.collect import land_hour
from tests.integration.dagster import cloudtrail_hours as trail

MODEL = f"dispositions__{trail.SOURCE}"
KEYS = {MODEL: dg.AssetKey(["ledger", MODEL])}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty lake whose CloudTrail is delivered to `tmp_path/trail`; the sensor reads the same."""
    (tmp_path / "trail").mkdir()
    made = Settings(
        lake=str(tmp_path / "lake"), sources={trail.SOURCE: ObjectSource(root=tmp_path / "trail")}, threads=1
    )
    monkeypatch.setattr("orchestration.automation.stale_hours.load_settings", lambda: made)
    return made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project that nobody edits while the test runs: a changed mapping makes hours stale."""
    return trail.project(tmp_path_factory.mktemp("dbt") / "project")


def _land(settings: Settings, hour: int) -> None:
    land_hour(settings, load_contracts()[trail.SOURCE], datetime(2026, 3, 2, hour))


def _tick(
    project: Path, cursor: str | None, start: datetime = datetime(2026, 3, 1)
) -> tuple[list[str | None], str | None]:
    sensor = stale_sensor(KEYS, [trail.SOURCE], project, start)
    with dg.build_sensor_context(cursor=cursor, sensor_name=sensor.name) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return [each.partition_key for each in result.run_requests or ()], result.cursor


def test_an_empty_lake_requests_nothing(settings: Settings, project: Path) -> None:
    assert _tick(project, None)[0] == []


def test_late_data_requests_exactly_its_hour_again(settings: Settings, project: Path, tmp_path: Path) -> None:
    trail.deliver(tmp_path / "trail", "20260302T0505Z", trail.call("a", "2026-03-02T05:01:00Z"))
    trail.deliver(tmp_path / "trail", "20260302T0605Z", trail.call("b", "2026-03-02T07:01:00Z"))
    _land(settings, 5)
    _land(settings, 6)
    requested, cursor = _tick(project, None)
    assert requested == ["2026-03-02-05:00", "2026-03-02-07:00"]
    requested, cursor = _tick(project, cursor)
    assert requested == []
    trail.deliver(tmp_path / "trail", "20260302T0905Z", trail.call("late", "2026-03-02T05:02:00Z"))
    _land(settings, 9)
    requested, cursor = _tick(project, cursor)
    assert requested == ["2026-03-02-05:00"]
    assert _tick(project, cursor)[0] == []


def test_hours_before_the_first_partition_are_left_to_the_command_line(
    settings: Settings, project: Path, tmp_path: Path
) -> None:
    trail.deliver(tmp_path / "trail", "20260302T0505Z", trail.call("a", "2026-03-02T05:01:00Z"))
    _land(settings, 5)
    assert _tick(project, None, start=datetime(2026, 3, 2, 6))[0] == []
    assert _tick(project, None, start=datetime(2026, 3, 2, 5))[0] == ["2026-03-02-05:00"]


def _stale(hour: str, models: tuple[str, ...] = (MODEL,), mark: str = "m") -> StaleHour:
    return StaleHour(Stale(trail.SOURCE, hour, models, "never built"), mark)


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
