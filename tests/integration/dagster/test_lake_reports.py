"""What others landed and built is reported to Dagster once, as it is now; what a run wrote is not reported again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.landing import land_files
from ingest.objects import list_places
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.storage.store import AwsAccess, LocalStore
from orchestration.assets.keys import bronze_key
from orchestration.assets.landing_metadata import landing_metadata
from orchestration.automation import lake_reports
from orchestration.automation.lake_reports import Reported, ledger_assets, report
from orchestration.graph import Graph
from orchestration.steps.collect import land_hour
from tests.integration.dagster import cloudtrail_hours as trail

START = datetime(2026, 3, 1)
BRONZE = bronze_key(trail.SOURCE)
MODEL = f"api_activity__{trail.SOURCE}"
SILVER = dg.AssetKey(["silver", MODEL])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trail.project(tmp_path_factory.mktemp("dbt") / "project")


@pytest.fixture
def graph(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """The graph over an empty lake whose CloudTrail is delivered to `tmp_path/trail`."""
    file = tmp_path / "headwater.yml"
    (tmp_path / "trail").mkdir()
    file.write_text(
        f'lake: lake\npartitions_start: "{START:%Y-%m-%dT%H}"\nthreads: 1\n'
        f"sources: {{{trail.SOURCE}: {{root: trail}}}}\n"
    )
    monkeypatch.setenv("HEADWATER_CONFIG", str(file))
    return Graph.read(project)


@pytest.fixture
def store(graph: Graph, tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def _land(graph: Graph, tmp_path: Path, hour: int, records: int = 1, minute: int = 5) -> None:
    calls = [trail.call(f"{hour}-{minute}-{n}", f"2026-03-02T{hour:02}:01:00Z") for n in range(records)]
    trail.deliver(tmp_path / "trail", f"20260302T{hour:02}{minute:02}Z", *calls)
    land_hour(graph.settings, graph.contracts[trail.SOURCE], datetime(2026, 3, 2, hour))


def _built(store: LocalStore, *hours: str, rows: int = 3, expired_at: str = "") -> None:
    made = [
        BuildReceipt(
            model=MODEL,
            source=trail.SOURCE,
            table="api_activity",
            hour=hour,
            rows=rows,
            bytes=9,
            inputs=(),
            mapping="abc",
            built_at="2026-03-03T00:00:00+00:00",
            expired_at=expired_at,
        )
        for hour in hours
    ]
    for key, text in build_receipts.merged_days(store, MODEL, made):
        store.write(key, text.encode())


def _report(instance: dg.DagsterInstance, store: LocalStore, graph: Graph, seconds: float = 60) -> Reported:
    return report(instance, store, ledger_assets(graph), START, seconds)


def _rows(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str | None, list[object]]:
    """Return the row counts of all materializations by partition, the newest first."""
    found: dict[str | None, list[object]] = {}
    for each in instance.fetch_materializations(key, limit=1000).records:
        assert each.asset_materialization is not None
        count = each.asset_materialization.metadata["dagster/partition_row_count"].value
        found.setdefault(each.partition_key, []).append(count)
    return found


def test_what_the_command_line_landed_and_built_is_reported_once(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, tmp_path: Path
) -> None:
    _land(graph, tmp_path, 5)
    _land(graph, tmp_path, 6, records=2)
    _built(store, "2026-03-02T05", "2026-03-01T23", "2026-02-28T23")
    done = _report(instance, store, graph)
    assert {"2026-03-02-05:00": [1], "2026-03-02-06:00": [2]} == _rows(instance, BRONZE)
    assert {"2026-03-02-05:00": [3], "2026-03-01-23:00": [3]} == _rows(instance, SILVER)
    assert (4, 1, 0) == (done.events, done.early, done.left)
    assert Reported() == _report(instance, store, graph)


def test_an_asset_that_somebody_wiped_is_reported_again(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, tmp_path: Path
) -> None:
    _land(graph, tmp_path, 5)
    _built(store, "2026-03-02T05")
    _report(instance, store, graph)
    instance.wipe_assets([SILVER])
    assert {} == _rows(instance, SILVER)
    assert 1 == _report(instance, store, graph).events
    assert ([3], [1]) == tuple(_rows(instance, key)["2026-03-02-05:00"] for key in (SILVER, BRONZE))
    assert Reported() == _report(instance, store, graph)


def test_only_what_changed_is_reported_again(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, tmp_path: Path
) -> None:
    _land(graph, tmp_path, 5)
    _land(graph, tmp_path, 6)
    _built(store, "2026-03-02T05", "2026-03-02T06")
    _report(instance, store, graph)
    _land(graph, tmp_path, 6, minute=55)
    _built(store, "2026-03-02T05", expired_at="2026-06-01T00:00:00+00:00")
    assert 2 == _report(instance, store, graph).events
    assert {"2026-03-02-05:00": [1], "2026-03-02-06:00": [2, 1]} == _rows(instance, BRONZE)
    assert {"2026-03-02-05:00": [0, 3], "2026-03-02-06:00": [3]} == _rows(instance, SILVER)


def test_a_batch_of_files_counts_in_the_hours_in_which_its_objects_arrived(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, tmp_path: Path
) -> None:
    contract = graph.contracts[trail.SOURCE]
    _land(graph, tmp_path, 5)
    for hour in (5, 7):
        trail.deliver(tmp_path / "trail", f"20260302T{hour:02}30Z", trail.call(f"late {hour}", "2026-03-02T05:02:00Z"))
    found = list_places(contract, [str(tmp_path / "trail")], AwsAccess())
    list(land_files(contract, found.objects, store))
    _report(instance, store, graph)
    assert {"2026-03-02-05:00": [2], "2026-03-02-07:00": [1]} == _rows(instance, BRONZE)


def test_what_a_run_wrote_is_not_reported_again(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, tmp_path: Path
) -> None:
    contract = graph.contracts[trail.SOURCE]
    _land(graph, tmp_path, 5)
    receipt = land_hour(graph.settings, contract, datetime(2026, 3, 2, 5))
    metadata = landing_metadata(store, contract, receipt)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(BRONZE, partition="2026-03-02-05:00", metadata=metadata)
    )
    assert 0 == _report(instance, store, graph).events


def test_an_asset_that_a_run_is_making_waits_for_the_run(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _land(graph, tmp_path, 5)
    with monkeypatch.context() as patch:
        patch.setattr(lake_reports, "_running", lambda _: {BRONZE})
        assert 0 == _report(instance, store, graph).events
    assert 1 == _report(instance, store, graph).events


def test_a_call_that_has_no_time_left_leaves_the_older_days_to_the_next(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    _built(store, "2026-03-02T05", "2026-03-03T05", "2026-03-04T05")
    clock = iter(range(100))
    monkeypatch.setattr("orchestration.automation.lake_reports.time.monotonic", lambda: next(clock))
    assert (1, 2) == ((done := _report(instance, store, graph, 1)).events, done.left)
    assert ["2026-03-04-05:00"] == [*_rows(instance, SILVER)]
    assert (2, 0) == ((done := _report(instance, store, graph, 50)).events, done.left)


def test_an_hour_that_is_not_over_waits_until_it_is_a_partition(
    instance: dg.DagsterInstance, store: LocalStore, graph: Graph
) -> None:
    _built(store, "2026-03-02T05", "2026-03-02T06")
    told = [
        report(instance, store, ledger_assets(graph), START, now=datetime(2026, 3, 2, hour, 30, tzinfo=UTC)).events
        for hour in (6, 6, 7)
    ]
    assert [1, 0, 1] == told


def test_a_damaged_receipt_costs_its_day_alone(instance: dg.DagsterInstance, store: LocalStore, graph: Graph) -> None:
    _built(store, "2026-03-02T05", "2026-03-03T05")
    store.write(build_receipts.day_key(MODEL, datetime(2026, 3, 3)), b"{")
    assert 1 == _report(instance, store, graph).events
    _built(store, "2026-03-03T05")
    assert 1 == _report(instance, store, graph).events


def test_the_sensor_is_on_and_says_when_the_lake_cannot_be_read(
    graph: Graph, store: LocalStore, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sensor,) = lake_reports.definitions(graph).sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    assert dg.DefaultSensorStatus.RUNNING == sensor.default_status

    def away(_: object) -> LocalStore:
        raise OSError("no route to host")

    _built(store, "2026-03-02T05")
    with dg.build_sensor_context(instance=instance) as context:
        first = sensor(context)
        monkeypatch.setattr(lake_reports, "open_lake", away)
        second = sensor(context)
    assert isinstance(first, dg.SkipReason) and first.skip_message == "1 partitions were reported"
    assert isinstance(second, dg.SkipReason) and "no route to host" in str(second.skip_message)
