"""The sensor requests the hours that are stale, each once per state, and none that is no partition."""

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.contracts import load_contracts
from orchestration.automation.stale_hours import stale_sensor
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
