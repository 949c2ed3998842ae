"""Objects that appear after their hour was landed are landed, and an API that forgets costs nothing that landed."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.contracts import load_contracts
from ingest.landing import FewerRecords, land
from ingest.objects import RawObject
from lake import ledger
from lake.storage.store import LocalStore
from orchestration.automation.late_objects import late_objects_sensor
from orchestration.settings import ObjectSource, Settings
from orchestration.steps.collect import land_hour
from tests.integration.dagster import cloudtrail_hours as trail

HOUR = datetime(2026, 3, 2, 5)
KEY = dg.AssetKey(["bronze", trail.SOURCE])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "trail").mkdir()
    made = Settings(
        lake=str(tmp_path / "lake"), sources={trail.SOURCE: ObjectSource(root=tmp_path / "trail")}, threads=1
    )
    monkeypatch.setattr("orchestration.automation.late_objects.load_settings", lambda: made)
    return made


def requested(start: datetime = datetime(2026, 3, 1)) -> list[tuple[str | None, str | None]]:
    contract = load_contracts()[trail.SOURCE]
    sensor = late_objects_sensor({KEY: contract}, start)
    with dg.build_sensor_context(sensor_name=sensor.name) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return [(each.partition_key, each.run_key) for each in result.run_requests or ()]


def test_an_object_that_comes_after_its_hour_was_landed_has_the_hour_landed_again(
    settings: Settings, tmp_path: Path
) -> None:
    contract = load_contracts()[trail.SOURCE]
    trail.deliver(tmp_path / "trail", "20260302T0505Z", trail.call("a", "2026-03-02T05:01:00Z"))
    assert [] == requested()  # the hour never landed: that is the schedule's work
    land_hour(settings, contract, HOUR)
    assert [] == requested()
    trail.deliver(tmp_path / "trail", "20260302T0555Z", trail.call("b", "2026-03-02T05:50:00Z"))
    asked = requested()
    assert ["2026-03-02-05:00"] == [hour for hour, _ in asked]
    assert asked == requested()  # the same state is the same run
    assert 2 == land_hour(settings, contract, HOUR).landed
    assert [] == requested()


def test_late_objects_before_the_first_partition_are_left_to_the_command_line(
    settings: Settings, tmp_path: Path
) -> None:
    trail.deliver(tmp_path / "trail", "20260302T0505Z", trail.call("a", "2026-03-02T05:01:00Z"))
    land_hour(settings, load_contracts()[trail.SOURCE], HOUR)
    trail.deliver(tmp_path / "trail", "20260302T0555Z", trail.call("b", "2026-03-02T05:50:00Z"))
    assert [] == requested(start=datetime(2026, 3, 3))


def test_a_batch_that_may_not_shrink_keeps_what_it_landed(tmp_path: Path) -> None:
    def page(text: str) -> RawObject:
        file = tmp_path / "page.json"
        file.write_text(text)
        return RawObject(
            "okta://org#page-1", lambda: file.open("rb"), len(text), datetime(2026, 3, 2, 6, tzinfo=UTC), text
        )

    contract, store = load_contracts()["okta_system_log"], LocalStore(tmp_path / "lake")
    event = '{"uuid": "u1", "published": "2026-03-02T05:00:00.000Z", "eventType": "user.session.start"}'
    first = land(contract, [page(f"[{event}]")], store, "20260302T05", may_shrink=False)
    for text, found in (("[]", 0), (f"[{event.replace('u1', 'u2')}]", 1)):
        with pytest.raises(FewerRecords, match=f"1 records, and 1 of them are not among the {found} found now"):
            land(contract, [page(text)], store, "20260302T05", may_shrink=False)
    assert first == ledger.landing(store, "okta_system_log", "20260302T05")
    assert [mark.rows for mark in first.files] == [1]
    assert store.info(first.files[0].key) is not None
