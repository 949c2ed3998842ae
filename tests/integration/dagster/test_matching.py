"""Matching at the command line and in Dagster, and what readers and destinations have of its table."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from ingest.reference.feeds import Feed
from ingest.reference.load import load_feed
from ingest.reference.tables import INDICATORS, Entry
from lake.storage import paths
from lake.storage.store import LocalStore
from orchestration.assets.keys import match_key
from orchestration.assets.threat_matches import CHECKS, threat_matches
from orchestration.graph import BuiltTable
from orchestration.settings import load_settings
from orchestration.steps.exports import declared_exports, push_behind
from tests.integration.lakes import headwater
from tests.unit.matching.lakes import at, build, logon

EVIL = "203.0.113.7"
COUNT = "select count(*) as n, sum(seconds_after) as seconds from gold.threat_matches"
OKTA = BuiltTable(dg.AssetKey(["silver", "authentication__okta"]), "authentication__okta")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A lake with two sign-ins, and settings with a destination."""
    given = {"lake": "lake", "destinations": {"files": {"type": "files", "root": "there"}}}
    (tmp_path / "headwater.yml").write_text(yaml.safe_dump(given))
    monkeypatch.delenv("HEADWATER_LAKE", raising=False)
    monkeypatch.setenv("HEADWATER_CONFIG", str(tmp_path / "headwater.yml"))
    store = LocalStore(tmp_path / "lake")
    build(store, [logon(1, "a", EVIL), logon(2, "b", "198.51.100.1")])
    return store


def load(store: LocalStore, hour: float, *addresses: str) -> None:
    entries = [Entry(each, kind="ip", value=each) for each in addresses]
    load_feed(store, Feed("bad", INDICATORS, most_closed_share=1), entries, at(hour))


def test_the_command_says_what_was_held_against_what(store: LocalStore) -> None:
    assert headwater("query", COUNT, "--json").json == [{"n": 0, "seconds": None}]
    assert "no list of indicators is loaded" in headwater("match").out
    load(store, 6, EVIL, "192.0.2.1")
    said = headwater("match", "--dry-run").out
    assert "2 of 2 indicators × 2 event hours (2 tables, 2 observables)" in said
    assert "1 new matches would be found" in said
    assert headwater("match", "--feed", "bad", "--json").json["found"] == {"bad": 1}
    assert headwater("query", COUNT, "--json").json == [{"n": 1, "seconds": 5 * 3600}]
    assert "2 hours have nothing new" in headwater("match").out
    wrong = headwater("match", "--feed", "good")
    assert (wrong.code, "there are bad" in wrong.err) == (2, True)


def test_a_run_publishes_and_the_sensor_asks_for_another_after_a_new_list(store: LocalStore, tmp_path: Path) -> None:
    defs = threat_matches([OKTA])
    (sensor,) = defs.sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)

    def asked(cursor: str | None) -> tuple[int, str | None]:
        found = sensor(dg.build_sensor_context(cursor=cursor))
        assert isinstance(found, dg.SensorResult)
        return len(found.run_requests or ()), found.cursor

    assert asked(None)[0] == 0
    load(store, 6, EVIL)
    requests, cursor = asked(None)
    assert (requests, asked(cursor)[0]) == (1, 0)
    job = dg.Definitions.merge(defs, dg.Definitions(assets=[dg.AssetSpec(OKTA.key)]))
    result = job.resolve_implicit_global_asset_job_def().execute_in_process(asset_selection=[match_key()])
    (materialised,) = result.asset_materializations_for_node("gold__threat_matches")
    assert materialised.metadata["new_matches"].value == 1
    assert {each.check_name: each.passed for each in result.get_asset_check_evaluations()} == dict.fromkeys(
        CHECKS, True
    )
    assert asked(cursor)[0] == 0
    load(store, 7, EVIL, "198.51.100.1")
    assert asked(cursor)[0] == 1


def test_the_table_is_exported_like_every_other(store: LocalStore, tmp_path: Path) -> None:
    load(store, 6, EVIL)
    assert headwater("match").code == 0
    exports = [each for each in declared_exports() if str(each.held) == f"{paths.GOLD}/threat_matches"]
    assert {each.destination for each in exports} >= {"files", "splunk"}
    pushed = list(push_behind(load_settings(), store, exports))
    assert [(each.hour, each.failed, each.receipt and each.receipt.rows) for _, each in pushed] == [
        ("2026-03-02T01", "", 1)
    ]
