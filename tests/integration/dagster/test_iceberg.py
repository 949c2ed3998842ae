"""Iceberg tables under Dagster and the command line: off unless set; then what was built is published."""

from pathlib import Path

import dagster as dg
import pytest

from lake.storage.store import LocalStore
from orchestration.assets.iceberg import iceberg_tables
from orchestration.graph import BuiltTable
from orchestration.settings import load_settings
from tests.integration.iceberg.built import Lake
from tests.integration.lakes import headwater

HOUR = "2026-03-02T05"
SOURCE = "okta_system_log"
TABLES = {
    SOURCE: [
        BuiltTable(dg.AssetKey(["silver", f"authentication__{SOURCE}"]), f"authentication__{SOURCE}"),
        BuiltTable(dg.AssetKey(["ledger", f"dispositions__{SOURCE}"]), f"dispositions__{SOURCE}"),
    ]
}
KEY = dg.AssetKey(["iceberg", "silver", "authentication"])


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.delenv("HEADWATER_CONFIG", raising=False)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("HEADWATER_ICEBERG__PUBLISH", "true")
    monkeypatch.chdir(tmp_path)
    return Lake(LocalStore(tmp_path / "lake"), tmp_path)


def test_without_the_setting_there_are_no_assets(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_ICEBERG__PUBLISH")
    assert [] == list(iceberg_tables(load_settings(), TABLES).assets or ())


def test_the_job_publishes_what_was_built_and_tells_of_it(lake: Lake) -> None:
    lake.build(HOUR, [1, 2])
    defined = dg.Definitions.merge(iceberg_tables(load_settings(), TABLES))
    assert [KEY] == [key for key in defined.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "iceberg"]
    job = defined.resolve_job_def("publish_iceberg")
    (told,) = job.execute_in_process().asset_materializations_for_node("publish_iceberg_tables")
    assert (KEY, 2, 1) == (told.asset_key, told.metadata["rows"].value, told.metadata["event_hours"].value)
    again = job.execute_in_process()
    assert again.success and [] == again.asset_materializations_for_node("publish_iceberg_tables")


def test_the_command_publishes_lists_and_forgets(lake: Lake) -> None:
    lake.build(HOUR, [1, 2])
    (standing,) = headwater("iceberg", "list", "--json").json
    assert (1, 0, "") == (standing["stale_hours"], standing["snapshots"], standing["metadata"])
    (done,) = headwater("iceberg", "publish", "--from", "2026-03-02", "--json").json
    assert ("silver/authentication", [f"{SOURCE}/{HOUR}"], 2) == (done["table"], done["hours"], done["rows"])
    lake.build(HOUR, [3])
    assert 0 == headwater("iceberg", "publish").code
    assert "every table is current" in headwater("iceberg", "publish").out
    (standing,) = headwater("iceberg", "list", "--json").json
    assert (0, 2, 1) == (standing["stale_hours"], standing["snapshots"], standing["rows"])
    assert {"silver/authentication": 1} == headwater("iceberg", "forget", "--json").json


def test_a_table_that_is_not_there_is_told_with_those_that_are(lake: Lake) -> None:
    lake.build(HOUR, [1])
    said = headwater("iceberg", "publish", "--table", "nowhere")
    assert 1 == said.code and "no table 'nowhere' is there; there are silver/authentication" in said.err
