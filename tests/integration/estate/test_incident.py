"""The incident is found whatever happens on the way: hours in any order, a kill in the middle, lists that come late."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lake.signals.truth import read_truth, score
from orchestration.dbt.project import load_project
from orchestration.demo.signals import PRODUCT, differences
from orchestration.settings import load_settings, open_lake
from tests.crash.zygote import Zygote
from tests.integration.lakes import headwater, leftovers, rows

LAST_HOURS = ["--from", "2026-03-02T02", "--to", "2026-03-02T03"]


@pytest.fixture
def without_gold(estate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the estate's lake in which no mart was ever built; commands use it."""
    lake = Path(shutil.copytree(estate / "lake", tmp_path / "lake"))
    shutil.rmtree(lake / "gold")
    for mart in load_project().marts.by_name:
        shutil.rmtree(lake / "ledger/build" / mart, ignore_errors=True)
    monkeypatch.setenv("HEADWATER_LAKE", str(lake))
    yield lake


def _marts(lake: Path) -> dict[str, str]:
    """Hashes of the rows of every mart, by file."""
    made = tuple(f"gold/{mart}/" for mart in load_project().marts.by_name)
    return {key: digest for key, digest in rows(lake).items() if key.startswith(made)}


@pytest.mark.storm  # a minute of a core; tests/crash kills builds, tests/integration/test_marts.py mixes the order
def test_the_last_hours_first_and_a_kill_in_the_middle_give_the_same_rows(
    estate: Path, without_gold: Path, tmp_path: Path
) -> None:
    expected = _marts(estate / "lake")
    environment = {"HEADWATER_CONFIG": str(estate / "headwater.yml")}
    assert headwater("build", *LAST_HOURS).code == 0
    last_hours = len(_marts(without_gold))
    with Zygote(tmp_path) as zygote:
        killed = zygote.run(without_gold, ["build"], load_project().folder, act=60, environment=environment)
    assert killed.code == -9
    assert last_hours < len(_marts(without_gold)) < len(expected)
    assert headwater("build").code == 0
    assert (_marts(without_gold), leftovers(without_gold)) == (expected, [])


def test_what_threat_lists_learned_later_is_found_in_the_past_and_all_else_is_as_planted(
    own_estate: Path, truth: dict[str, Any]
) -> None:
    assert headwater("match").code == 0
    store = open_lake(load_settings())
    labels = read_truth(own_estate / "estate/truth.json")
    assert differences(store, truth, [score(store, PRODUCT, labels[PRODUCT])]) == []
    assert headwater("match", "--json").json["found"] == {}
