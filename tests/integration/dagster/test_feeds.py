"""Feeds of the settings: which snapshots are loaded and in what order, and what Dagster makes of them."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.reference.feeds import FeedError, newest_load
from ingest.reference.history import history_of
from ingest.reference.load import SnapshotRefused
from lake.storage.publish import open_store
from lake.storage.store import LocalStore
from orchestration.assets.reference import FRESH, feed_key, reference_assets
from orchestration.settings import SettingsError, load_settings
from orchestration.steps.feeds import Snapshot, load_configured, snapshots

SETTINGS = """
lake: lake
reference:
  feeds:
    cmdb: {table: assets, format: csv, path: cmdb, refresh: "@daily", max_age_hours: 26}
    hostile: {table: indicators, format: plain, path: "lists/*.txt"}
"""
KEY = feed_key("cmdb", "assets")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings of two feeds, and nothing of them yet."""
    for name in [name for name in os.environ if name.startswith("HEADWATER_")]:
        monkeypatch.delenv(name)
    (tmp_path / "headwater.yml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cmdb").mkdir()
    return tmp_path


def cmdb(home: Path, when: str, *addresses: str) -> None:
    lines = ["uid,addresses", *(f"{number},{address}" for number, address in enumerate(addresses))]
    (home / "cmdb" / f"cmdb-{when}.csv").write_text("\n".join(lines) + "\n")


def loaded(home: Path) -> Iterator[tuple[str, bool, int]]:
    for each in load_configured(load_settings(), LocalStore(home / "lake"), "cmdb"):
        yield each.receipt.as_of, each.is_news, each.receipt.rows_open


def test_snapshots_are_loaded_in_the_order_of_their_times_and_once(home: Path) -> None:
    cmdb(home, "20260201T0930Z", "10.0.0.1", "10.0.0.3")
    cmdb(home, "2026-01-01", "10.0.0.1", "10.0.0.2")
    assert [("2026-01-01T00:00:00", True, 2), ("2026-02-01T09:30:00", True, 2)] == list(loaded(home))
    assert [] == list(loaded(home))
    cmdb(home, "2026-02-02", "10.0.0.1", "10.0.0.3")
    assert [("2026-02-02T00:00:00", False, 2)] == list(loaded(home))


def test_a_snapshot_that_is_refused_stops_those_after_it_and_is_named(home: Path) -> None:
    cmdb(home, "2026-01-01", "10.0.0.1", "10.0.0.2")
    cmdb(home, "2026-01-02")
    cmdb(home, "2026-01-03", "10.0.0.1", "10.0.0.2")
    steps = loaded(home)
    assert ("2026-01-01T00:00:00", True, 2) == next(steps)
    with pytest.raises(SnapshotRefused, match=r"cmdb-2026-01-02\.csv: .*would close 2 of 2 open rows"):
        next(steps)
    (home / "cmdb" / "cmdb-2026-01-02.csv").unlink()
    assert [("2026-01-03T00:00:00", False, 2)] == list(loaded(home))


def test_a_feed_whose_settings_have_changed_is_loaded_anew_from_its_snapshots(home: Path) -> None:
    for when, address in (("2026-01-01", "10.0.0.1"), ("2026-02-01", "10.0.0.2")):
        cmdb(home, when, address, "10.0.0.9")
    first = [*loaded(home)]
    before = newest_load(LocalStore(home / "lake"), "assets", "cmdb")
    (home / "headwater.yml").write_text(SETTINGS.replace("max_age", "constants: {owner: ann}, max_age"))
    assert [] == list(loaded(home))
    again = [
        (each.receipt.as_of, each.is_news, each.receipt.rows_open)
        for each in load_configured(load_settings(), LocalStore(home / "lake"), "cmdb", anew=True)
    ]
    assert first == again
    after = newest_load(LocalStore(home / "lake"), "assets", "cmdb")
    assert before and after
    assert (before.rows, 3, True) == (after.rows, after.rows, before.files != after.files)
    said = history_of(LocalStore(home / "lake"), "assets", "0")
    assert [("ann", datetime(2026, 1, 1)), ("ann", datetime(2026, 2, 1))] == [
        (each.says["owner"], each.learned_at) for each in said
    ]


def test_snapshots_in_a_bucket_are_loaded_like_those_of_a_folder(home: Path, s3_bucket: str) -> None:
    bucket = open_store(f"s3://{s3_bucket}", load_settings().s3_options())
    for when, address in (("2026-02-01", "10.0.0.2"), ("2026-01-01", "10.0.0.1")):
        cmdb(home, when, address)
        bucket.put(home / "cmdb" / f"cmdb-{when}.csv", f"feeds/cmdb/cmdb-{when}.csv")
    for other in ("feeds/cmdb/old/cmdb-2025-01-01.csv", "feeds/cmdb2/cmdb-2025-01-01.csv", "feeds/cmdb/x.part"):
        bucket.write(other, b"uid\n1\n")
    folder = f"s3://{s3_bucket}/feeds/cmdb"
    named = [f"{folder}/cmdb-2026-0{month}-01.csv" for month in (1, 2)]
    for path in (folder, f"{folder}/", f"{folder}/cmdb-*.csv"):
        assert named == [each.place for each in snapshots(path)]
    assert named[:1] == [each.place for each in snapshots(named[0])]
    with pytest.raises(FeedError, match="no file is there"):
        snapshots(f"{folder}/*.json")
    (home / "headwater.yml").write_text(SETTINGS.replace("path: cmdb", f'path: "{folder}"'))
    assert [("2026-01-01T00:00:00", True, 1), ("2026-02-01T00:00:00", True, 1)] == list(loaded(home))
    assert [] == [each for each in (home / ".headwater" / "scratch").iterdir() if each.name.startswith("snapshot-")]


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("cmdb-2026-03-02.csv", datetime(2026, 3, 2)),
        ("20260302T0515.ndjson.gz", datetime(2026, 3, 2, 5, 15)),
        ("feed_2026-03-02T05:15:07Z.csv", datetime(2026, 3, 2, 5, 15, 7)),
        ("v20250101-20260302_051507.csv", datetime(2026, 3, 2, 5, 15, 7)),
        ("room-20269902.csv", datetime(2001, 9, 9, 1, 46, 40)),  # no date: the file's time of change
        ("v10101010.txt", datetime(2001, 9, 9, 1, 46, 40)),
        ("list.txt", datetime(2001, 9, 9, 1, 46, 40)),
    ],
)
def test_the_time_of_a_snapshot_stands_in_its_name_or_is_that_of_the_file(
    tmp_path: Path, name: str, at: datetime
) -> None:
    file = tmp_path / name
    file.write_text("")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert [Snapshot(str(file), at)] == snapshots(str(file)) == snapshots(str(tmp_path))


def test_unfinished_and_hidden_files_are_no_snapshots(tmp_path: Path) -> None:
    for name in (".2026-01-01.csv", "2026-01-02.csv.part", "2026-01-03.tmp", "2026-01-04.csv"):
        (tmp_path / name).write_text("")
    wanted = [Snapshot(str(tmp_path / "2026-01-04.csv"), datetime(2026, 1, 4))]
    assert wanted == snapshots(str(tmp_path)) == snapshots(str(tmp_path / "*.csv"))
    with pytest.raises(FeedError, match="no file is there"):
        snapshots(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        ("{table: assets, format: csv}", "format csv needs a path"),
        ("{table: assets, format: cvs, path: x}", "'cvs' is no format"),
        ("{table: hosts, format: csv, path: x}", "'indicators', 'warning_lists', 'assets' or 'identities'"),
        ("{table: assets, format: csv, path: x, delimeter: ';'}", "delimeter: unknown setting"),
        ("{table: assets, format: csv, path: x, refresh: hourly}", "no cron schedule"),
        ("{table: assets, format: csv, path: x, refresh: '61 * * * *'}", "no cron schedule"),
    ],
)
def test_a_feed_that_cannot_be_read_is_told_with_the_settings(home: Path, feed: str, said: str) -> None:
    (home / "headwater.yml").write_text(f"reference: {{feeds: {{cmdb: {feed}}}}}\n")
    with pytest.raises(SettingsError, match=rf"reference\.feeds\.cmdb.*{said}"):
        load_settings().refuse("reference.feeds.cmdb")


def test_every_feed_is_an_asset_with_its_schedule_and_the_check_of_its_age(home: Path) -> None:
    defs = reference_assets(load_settings())
    graph = defs.resolve_asset_graph()
    assert {KEY, feed_key("hostile", "indicators")} == graph.get_all_asset_keys()
    assert {"load_cmdb_on_time": "@daily", "load_hostile_on_time": "15 * * * *"} == {
        each.name: each.cron_schedule for each in defs.get_repository_def().schedule_defs
    }
    assert {dg.AssetCheckKey(KEY, FRESH)} == set(graph.asset_check_keys)


def test_materialising_a_feed_loads_it_and_tells_what_changed(home: Path) -> None:
    cmdb(home, "2026-01-01", "10.0.0.1", "10.0.0.2")
    defs = reference_assets(load_settings())
    asset = next(each for each in defs.assets or () if isinstance(each, dg.AssetsDefinition) and each.key == KEY)
    result = dg.materialize([asset])
    told = result.asset_materializations_for_node(asset.node_def.name)[0].metadata
    assert (2, 0, 2) == tuple(told[name].value for name in ("opened", "rejected", "rows_open"))
    receipt = newest_load(LocalStore(home / "lake"), "assets", "cmdb")
    assert receipt
    assert receipt.version == told["version"].value
    (check,) = result.get_asset_check_evaluations()
    assert (False, dg.AssetCheckSeverity.WARN) == (check.passed, check.severity)
    assert "expected at most 26 hours" in str(check.description)
