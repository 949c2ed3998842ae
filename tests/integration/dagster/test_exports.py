"""Exports under Dagster: an asset for each table at each configured destination, its checks, retries and sensor."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import pytest

from lake import ledger
from lake.base.errors import warn_once
from lake.export.declaration import Export
from lake.export.destination import Delivery, Held, Partition, Place
from lake.export.destinations.files import Files
from lake.export.errors import DestinationDenied, DestinationUnavailable
from lake.export.rows import Reader
from lake.storage.publish import open_store
from lake.storage.store import LocalStore
from orchestration.assets.exports import export_assets, export_key
from orchestration.assets.hours import hourly, key_of_hour
from orchestration.automation.exports_behind import AGAIN_HOURS, choose, export_sensor
from orchestration.dbt.project import Project
from orchestration.graph import BuiltTable
from orchestration.settings import PROJECT, SettingsError, load_settings
from orchestration.steps.exports import declared_exports, export_states, push_behind, read_exports
from orchestration.steps.products import load_products
from tests.unit.export.lakes import OKTA, SmallLake, export

FIRST, SECOND = "2026-03-02T04", "2026-03-02T05"
START = "2026-03-01T00"
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
BUILT = BuiltTable(dg.AssetKey(["silver", f"authentication__{OKTA}"]), f"authentication__{OKTA}")
TABLES = {OKTA: [BUILT], "aws_cloudtrail": []}
EXPORT = export(destination="there")
KEY = dg.AssetKey(["export", "there", "authentication"])


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallLake]:
    """A lake with two hours of sign-ins, and settings with one destination."""
    for name in ("HEADWATER_CONFIG", "HEADWATER_LAKE"):  # a lake that other tests share stays theirs
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    settings = {
        "lake": "lake",
        "partitions_start": START,
        "destinations": {"there": {"type": "files", "root": "there"}},
    }
    (tmp_path / "headwater.yml").write_text(json.dumps(settings))
    monkeypatch.setattr("orchestration.assets.exports._RETRY", dg.RetryPolicy(max_retries=2))  # without its waits
    made = SmallLake(LocalStore(tmp_path / "lake"), tmp_path)
    made.silver(FIRST, rows=5)
    made.silver(SECOND, rows=7)
    yield made


def run(*hours: str) -> dg.ExecuteInProcessResult:
    (assets,) = export_assets(load_settings(), [EXPORT], TABLES, hourly(START))
    keys = [key_of_hour(ledger.hour(hour)) for hour in hours]
    span = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    defined = dg.Definitions(assets=[assets, dg.AssetSpec(BUILT.key, partitions_def=hourly(START))])
    job = defined.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(asset_selection=[KEY], tags=span, raise_on_error=False)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def test_every_curated_table_of_the_project_declares_where_it_goes() -> None:
    declared = {each.table for each in declared_exports() if each.destination == "files"}
    folders = {path.name for path in (PROJECT / "models" / "silver").iterdir() if (path / f"{path.name}.sql").exists()}
    assert folders | load_products().keys() | {"threat_matches"} == declared


def test_an_export_is_an_asset_over_the_hours_of_what_it_is_made_of(lake: SmallLake) -> None:
    (assets,) = export_assets(load_settings(), [EXPORT, export(destination="elsewhere")], TABLES, hourly(START))
    spec = assets.specs_by_key[KEY]
    assert KEY == export_key(EXPORT)
    assert [BUILT.key] == [dep.asset_key for dep in spec.deps]
    assert hourly(START) == assets.partitions_def and {"files"} == spec.kinds
    assert dg.BackfillPolicy.single_run() == assets.backfill_policy and {"export_there"} == assets.op.pools
    assert 2 == assets.op.retry_policy.max_retries  # type: ignore[union-attr]
    assert {"delivered", "nothing_refused", "unchanged_there"} == {each.name for each in assets.check_specs}


def test_the_page_of_an_export_says_in_words_what_goes_where(lake: SmallLake) -> None:
    said = {"filter": "status_id = 2", "without": ["unmapped"], "reduction": {"drop": ["is_alert"]}}
    (assets,) = export_assets(load_settings(), [export(destination="there", **said)], TABLES, hourly(START))
    spec = assets.specs_by_key[KEY]
    first = str(spec.description).splitlines()[0]
    goes = "the rows with `status_id = 2` without unmapped, reduced (drop)"
    assert f"authentication to there (files): {goes}." == first
    shown = spec.metadata["declared"].value
    assert {"filter": "status_id = 2", "without": ["unmapped"], "reduction": {"drop": ["is_alert"]}} == shown


def test_a_range_of_hours_is_delivered_by_one_run_and_told_hour_by_hour(lake: SmallLake) -> None:
    result = run(FIRST, SECOND)
    assert result.success and {"delivered": True, "nothing_refused": True, "unchanged_there": True} == checks(result)
    told = {
        each.partition: each.metadata["rows_at_destination"].value
        for each in result.asset_materializations_for_node("export__there__authentication")
    }
    assert {"2026-03-02-04:00": 5, "2026-03-02-05:00": 7} == told
    assert [] == lake.behind(lake.destination(), replace(EXPORT))


def test_an_hour_that_was_changed_at_the_destination_is_pushed_again_and_told(lake: SmallLake) -> None:
    assert run(FIRST).success
    (file,) = lake.scratch.glob("there/authentication/date=*/hour=04/part.parquet")
    before = file.read_bytes()
    file.unlink()
    result = run(FIRST)
    assert result.success and before == file.read_bytes()
    assert {"delivered": True, "nothing_refused": True, "unchanged_there": False} == checks(result)
    (told,) = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert f"{FIRST}: 0 rows were found, 5 were delivered at " in str(told.description)
    assert all(checks(run(FIRST)).values())


def test_a_destination_that_holds_something_else_fails_the_check(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Files, "read_back", lambda *_: Held(rows=4, checksum=1))
    result = run(FIRST)
    assert {"delivered": False, "nothing_refused": True, "unchanged_there": True} == checks(result)
    (told,) = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert f"{FIRST}: 5 rows were pushed, 4 are there" == told.description
    assert dg.AssetCheckSeverity.ERROR == told.severity


def failing(problem: Exception) -> Any:
    def push(*_: object) -> None:
        raise problem

    return push


def test_a_destination_that_is_down_is_tried_again_and_its_hours_stay_behind(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Files, "push", failing(DestinationUnavailable("the warehouse is down")))
    result = run(FIRST, SECOND)
    assert not result.success
    events = [each for each in result.all_events if each.event_type_value in ("STEP_FAILURE", "STEP_UP_FOR_RETRY")]
    assert ["STEP_UP_FOR_RETRY", "STEP_UP_FOR_RETRY", "STEP_FAILURE"] == [each.event_type_value for each in events]
    assert all("the warehouse is down" in str(each.event_specific_data) for each in events)
    assert [FIRST, SECOND] == [hour for hour, _ in lake.behind(lake.destination(), EXPORT)]


def test_hours_that_went_before_a_run_failed_are_told(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Files.push

    def push(self: Files, table: str, partition: Partition, reader: Reader) -> Delivery:
        if str(partition) == SECOND:
            raise DestinationDenied("the key has expired")
        return whole(self, table, partition, reader)

    monkeypatch.setattr(Files, "push", push)
    result = run(FIRST, SECOND)
    assert not result.success
    (told,) = [each for each in result.all_events if each.event_type_value == "ASSET_MATERIALIZATION"]
    assert "2026-03-02-04:00" == told.partition
    (failure,) = [each for each in result.all_events if each.event_type_value == "STEP_FAILURE"]
    assert "1 of 2 hours were not delivered" in str(failure.event_specific_data)


def test_what_trying_again_would_not_heal_is_not_tried_again(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def push(*_: object) -> None:
        tried.append(1)
        raise DestinationDenied("the key has expired")

    monkeypatch.setattr(Files, "push", push)
    result = run(FIRST, SECOND)
    assert not result.success and [1] == tried
    assert not [each for each in result.all_events if each.event_type_value == "STEP_UP_FOR_RETRY"]


def test_the_sensor_asks_for_what_is_behind_once_and_again_when_it_is_built_anew(lake: SmallLake) -> None:
    def tick(cursor: str | None) -> dg.SensorResult:
        (sensor,) = export_sensor(load_settings(), [EXPORT], ledger.hour(START)).sensors or ()
        with dg.DagsterInstance.ephemeral() as instance:
            found = sensor(dg.build_sensor_context(instance, cursor=cursor))
            assert isinstance(found, dg.SensorResult)
            return found

    first = tick(None)
    (asked,) = first.run_requests or ()
    assert [KEY] == asked.asset_selection and "there" == asked.tags["destination"]
    assert "2026-03-02-05:00" == asked.tags["dagster/asset_partition_range_end"]
    second = tick(first.cursor)
    assert not second.run_requests and "2 hours are behind" in str(second.skip_reason)
    run(FIRST, SECOND)
    assert "nothing is behind" in str(tick(second.cursor).skip_reason)
    lake.silver(SECOND, rows=8)
    (asked,) = tick(second.cursor).run_requests or ()
    assert "2026-03-02-05:00" == asked.partition_key


def test_hours_before_the_first_partition_are_left_to_the_command(lake: SmallLake) -> None:
    found = export_states(load_settings(), lake.store, [EXPORT])
    runs, _ = choose(found, {}, ledger.hour(SECOND), NOW)
    assert ["2026-03-02-05:00"] == [each.partition_key for each in runs]


def test_what_stays_behind_is_asked_for_again_after_some_hours_by_another_run(lake: SmallLake) -> None:
    found = export_states(load_settings(), lake.store, [EXPORT])
    first, requested = choose(found, {}, ledger.hour(START), NOW)
    runs, waiting = choose(found, requested, ledger.hour(START), NOW + timedelta(hours=AGAIN_HOURS, seconds=-1))
    assert [] == runs and requested == waiting
    again, _ = choose(found, requested, ledger.hour(START), NOW + timedelta(hours=AGAIN_HOURS))
    assert [each.tags for each in first] == [each.tags for each in again]
    assert first[0].run_key != again[0].run_key


def test_the_sensor_tells_of_a_destination_that_cannot_be_opened(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lake.export.destinations.files.open_destination", failing(DestinationDenied("the key has expired"))
    )
    (sensor,) = export_sensor(load_settings(), [EXPORT], ledger.hour(START)).sensors or ()
    with dg.DagsterInstance.ephemeral() as instance:
        found = sensor(dg.build_sensor_context(instance))
    assert isinstance(found, dg.SensorResult)
    assert "there: the key has expired" == str(found.skip_reason.skip_message if found.skip_reason else "")


def pushed(*exports: Export) -> list[tuple[str, str, str]]:
    """(table, hour, why it failed) of all that a push did."""
    done = push_behind(load_settings(), open_store("lake"), exports)
    return [(each.table, hour.hour, hour.failed) for each, hour in done]


WELL = [("authentication", FIRST, ""), ("authentication", SECOND, "")]


def test_one_export_that_fails_stops_no_other(lake: SmallLake) -> None:
    lake.silver("2026-03-02T06")
    broken = export(destination="there", table="broken", filter="no_such_column = 1")
    done = pushed(broken, EXPORT)
    assert WELL == [each for each in done if not each[2]][:2]
    (first, last, rest) = [why for _, _, why in done if why]
    assert "no_such_column" in first and first == last and rest.startswith("not tried: ")


def test_a_receipt_of_a_push_that_cannot_be_read_stops_its_own_table_alone(lake: SmallLake) -> None:
    lake.silver(FIRST, table="api_activity", source="x")
    lake.push(lake.destination(), other := export("api_activity"), FIRST)
    lake.store.write("ledger/export/there/api_activity/date=2026-03-02.json", b"{")
    both = [other, EXPORT]
    states = {each.export.table: each for each in export_states(load_settings(), lake.store, both)}
    assert "cannot be read" in states["api_activity"].failed and states["api_activity"].status is None
    assert 2 == len(states["authentication"].status.behind)  # type: ignore[union-attr]
    done = pushed(*both)
    assert WELL == done[1:] and "cannot be read" in done[0][2] and "\n" not in done[0][2]


def test_an_hour_whose_build_receipt_cannot_be_read_stays_as_it_was_delivered(
    lake: SmallLake, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    lake.silver(FIRST, table="api_activity", source="x")
    lake.push(lake.destination(), other := export("api_activity"), FIRST)
    lake.store.write("ledger/build/api_activity__x/date=2026-03-02.json", b"{")
    assert WELL == pushed(other, EXPORT), "nothing of it is behind, or taken away"
    assert "ledger/build/api_activity__x/date=2026-03-02.json cannot be read" in caplog.text


def test_what_nobody_expected_is_raised_when_the_other_tables_are_done(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = Files.push

    def faulty(self: Files, table: str, *given: Any) -> Any:
        if table == "faulty":
            raise TypeError("a fault of the destination's file")
        return push(self, table, *given)

    monkeypatch.setattr(Files, "push", faulty)
    done = push_behind(load_settings(), lake.store, [export(table="faulty"), EXPORT])
    assert WELL == [(each.table, hour.hour, hour.failed) for each, hour in (next(done), next(done))]
    with pytest.raises(TypeError, match="a fault of"):
        next(done)


def test_tables_that_are_pushed_at_once_share_the_memory(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def note(self: Files, options: Any, store: Any, place: Place) -> None:
        given.append(place.memory_bytes)
        init(self, options, store, place)

    init = Files.__init__
    monkeypatch.setattr(Files, "__init__", note)
    both, settings = [EXPORT, export(table="second")], load_settings()
    list(push_behind(settings.model_copy(update={"threads": 2}), lake.store, both))
    assert [settings.memory_bytes // 4] * 2 == given
    given.clear()
    list(push_behind(settings.model_copy(update={"threads": 64, "memory": "600MiB"}), lake.store, both, again=True))
    assert [300 << 20] * 2 == given  # one after the other: with less memory each, neither would go


def test_when_the_caller_stops_each_table_ends_with_the_hour_that_it_is_at(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ending(Event):
        def is_set(self) -> bool:
            return (Path("there") / "authentication").exists()

    monkeypatch.setattr("orchestration.steps.exports.Event", Ending)
    assert WELL[:1] == pushed(EXPORT)
    assert [SECOND] == [hour for hour, _ in lake.behind(lake.destination(), EXPORT)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "carrier_pigeon"}, "destinations.there: 'carrier_pigeon' is no type (known: "),
        ({"root": "x"}, "destinations.there: no `type` is given"),
        ("there", "destinations.there: expected `key: value` lines below it"),
        ({"type": "files"}, "missing required field `root`"),
        (
            {"type": "files", "root": "x", "colour": "red"},
            "there: unknown field `colour` (known: encryption, endpoint_url",
        ),
        ({"type": "files", "root": 7}, "destinations.there.root: expected `str`, got `int`"),
    ],
)
def test_a_destination_that_cannot_be_is_named_when_settings_are_read(
    lake: SmallLake, tmp_path: Path, given: Any, said: str
) -> None:
    (tmp_path / "headwater.yml").write_text(json.dumps({"destinations": {"there": given}}))
    with pytest.raises(SettingsError) as told:
        load_settings().refuse("destinations.there")
    assert said in str(told.value)


def test_two_exports_to_one_table_are_an_error() -> None:
    manifest = {
        "sources": {},
        "nodes": {
            f"model.headwater.{model}": {
                "name": model,
                "fqn": ["headwater", "silver", model],
                "config": {"meta": {"exports": {"destinations": ["there"], "table": "same"}}},
            }
            for model in ("authentication", "api_activity")
        },
    }
    found, (problem,) = read_exports(Project(Path(), manifest))
    assert "api_activity and authentication both export to there/same" in str(problem)
    assert ["there/same"] == [*map(str, found)] == [*map(str, declared_exports(Project(Path(), manifest)))]
