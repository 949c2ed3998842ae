"""Lookup providers in Dagster: an asset each, that a provider which is down does not fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from ingest.lookups.ask import ask_pending
from lake.build import requests
from lake.ledger.staleness import ANSWERED, Stale
from lake.storage.store import LocalStore
from orchestration.assets.lookups import WAITS, lookup_assets, lookup_key
from orchestration.dbt.project import load_project
from orchestration.graph import BuiltTable
from orchestration.settings import PROJECT, load_settings, lookups_of
from tests.integration.ingest.lookups.waiting import KEY, KEY_ENV, everything, publish_waiting
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator

SIGN_INS = dg.AssetKey(["silver", "authentication__okta_system_log"])
TABLES = {"okta_system_log": [BuiltTable(SIGN_INS, "authentication__okta_system_log")]}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AbuseIpDbSimulator]:
    with AbuseIpDbSimulator({"8.8.4.4": 100}, KEY) as running:
        given = {"type": "abuseipdb", "key_env": KEY_ENV, "base_url": f"{running.url}/api/v2"}
        lookups = {"abuse": given | {"ask_about": ["authentication.src_endpoint.ip"]}}
        (tmp_path / "headwater.yml").write_text(yaml.safe_dump({"lake": "lake", "lookups": lookups}))
        monkeypatch.setenv("HEADWATER_CONFIG", str(tmp_path / "headwater.yml"))
        monkeypatch.setenv(KEY_ENV, KEY)
        monkeypatch.setattr("ingest.lookups.ask._TRY_PAUSE_SECONDS", 0.0)
        publish_waiting(LocalStore(tmp_path / "lake"), "abuse", ["8.8.4.4", "9.9.9.9"])
        yield running


def _instance(tmp_path: Path) -> dg.DagsterInstance:
    (tmp_path / "dagster").mkdir()
    return dg.DagsterInstance.local_temp(str(tmp_path / "dagster"))


def _run(instance: dg.DagsterInstance, raises: bool = True) -> dg.ExecuteInProcessResult:
    defs = lookup_assets(load_settings(), TABLES)
    return defs.resolve_job_def("look_up").execute_in_process(instance=instance, raise_on_error=raises)


def _check(result: dg.ExecuteInProcessResult) -> Any:
    (found,) = [event for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"]
    return found.event_specific_data


def test_a_run_asks_within_the_budget_and_tells_what_is_left(api: AbuseIpDbSimulator, tmp_path: Path) -> None:
    with _instance(tmp_path) as instance:
        result = _run(instance)
        (materialised,) = result.asset_materializations_for_node("lookups__abuse")
        told = {name: each.value for name, each in materialised.metadata.items()}
        assert (told["answered"], told["still waiting"], told["budget left of the day"]) == (2, 0, 998)
        assert _check(result).passed
    assert KEY.encode() not in everything(tmp_path / "dagster")


def test_a_provider_that_is_down_fails_no_run_and_the_check_says_who_waits(
    api: AbuseIpDbSimulator, tmp_path: Path
) -> None:
    api.stop()
    with _instance(tmp_path) as instance:
        result = _run(instance)
        assert result.success
        found = _check(result)
        assert (found.check_name, found.passed, found.severity) == (WAITS, False, dg.AssetCheckSeverity.WARN)
        assert (found.metadata["waiting"].value, found.metadata["oldest since"].value[:10]) == (2, "2026-03-02")
    assert KEY.encode() not in everything(tmp_path / "dagster")


def test_a_key_that_is_refused_fails_the_run_with_one_sentence(
    api: AbuseIpDbSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, "another-key")
    with _instance(tmp_path) as instance:
        result = _run(instance, raises=False)
        assert not result.success
        (failed,) = [event for event in result.all_events if event.is_step_failure]
        said = failed.step_failure_data.error.message  # type: ignore[union-attr]
        assert f"the key in {KEY_ENV} was refused" in said + str(failed.step_failure_data)
    assert b"another-key" not in everything(tmp_path / "dagster")


def test_the_graph_has_providers_only_where_the_settings_name_some(
    api: AbuseIpDbSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = lookup_assets(load_settings(), TABLES)
    graph = defs.resolve_asset_graph()
    assert graph.get(lookup_key("abuse")).parent_keys == {SIGN_INS}
    (schedule,) = [each for each in defs.schedules or () if each.name == "look_up_hourly"]
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    (tmp_path / "headwater.yml").write_text("lake: lake\n")
    assert not (lookup_assets(load_settings(), TABLES).assets or ())


def test_an_hour_is_asked_for_again_whenever_more_was_answered(
    api: AbuseIpDbSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = Stale("okta_system_log", "2026-03-02T05", ("authentication__okta_system_log",), ANSWERED)
    monkeypatch.setattr(requests, "stale_hours", lambda *_: [stale])
    store, marks = LocalStore(tmp_path / "lake"), []
    for _ in range(2):
        ask_pending(store, lookups_of(load_settings())["abuse"], limit=1)
        marks += [each.mark for each in requests.stale_now(store, load_project(PROJECT).mappings, "okta_system_log")]
    assert len(set(marks)) == 2, "Dagster runs nothing again under the same key"
