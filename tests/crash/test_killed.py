"""Killed at any instant and started again, a lake ends as if never killed, and no reader sees half of anything.

Acts of landing and publishing that change the lake are points at which children die; more die at random moments, also
inside dbt. Then the same command runs again. In a storm, a child dies at nearly every act.
"""

import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake import ledger
from lake.ledger.balance import balance
from lake.storage.store import LocalStore
from tests.crash.zygote import Zygote
from tests.integration import okta_logs
from tests.integration.lakes import headwater, leftovers, receipts, rows
from tests.integration.okta_logs import SOURCE, event

BUILD = ["build", "--source", SOURCE]
_HOURS = [f"2026-03-02T0{hour}:10:00.000Z" for hour in (3, 4, 6)]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first delivery; `_redeliver` replaces it."""
    return okta_logs.delivery(tmp_path_factory.mktemp("delivered"))


def _redeliver(folder: Path) -> None:
    """Replace an object: of its three hours one goes, one comes, one changes; the broken records go."""
    okta_logs.write(
        folder / "a.ndjson", [event(f"new-{n}", hour) for hour in _HOURS for n in range(3)], at=1_772_600_000
    )
    okta_logs.write(folder / "b.ndjson", [event("other", _HOURS[0])], at=1_772_600_100)


def _state(lake: Path) -> tuple[object, object]:
    return rows(lake), receipts(lake)


def _whole_files(lake: Path) -> None:
    """Every file where readers look is a whole Parquet file."""
    for folder in ("bronze", "quarantine", "silver", "ledger/dispositions"):
        for path in (lake / folder).rglob("*.parquet"):
            pq.read_metadata(path)


def _readers_are_served(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after a kill, a query answers, with just the rows that receipts name."""
    _whole_files(lake)
    monkeypatch.setenv("HEADWATER_LAKE", str(lake))
    said = headwater("query", "--json", f"select count(*)::int as n from bronze.{SOURCE}")
    assert said.code == 0, said.err
    assert said.json == [{"n": sum(receipt.landed for receipt in ledger.landings(LocalStore(lake), SOURCE))}]


def _points(acts: int, most: int) -> list[int]:
    every = list(range(1, acts + 1))
    return every if acts <= most else sorted(random.Random(acts).sample(every, most))


@pytest.mark.parametrize("step", ["first delivery", "replaced delivery"])
def test_a_killed_landing_heals(
    step: str,
    storm: bool,
    zygote: Zygote,
    delivered: Path,
    tmp_path: Path,
    okta_project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = 22 if storm else 3
    folder = Path(shutil.copytree(delivered, tmp_path / "delivered", copy_function=shutil.copy2))
    land = ["land", SOURCE, str(folder)]
    before, unkilled = tmp_path / "before", tmp_path / "unkilled"
    before.mkdir()
    if step == "replaced delivery":
        assert zygote.run(before, land, okta_project).code == 0
        _redeliver(folder)
    shutil.copytree(before, unkilled)
    zygote.run(unkilled, land, okta_project)
    whole = zygote.run(Path(shutil.copytree(before, tmp_path / "warm")), land, okta_project)
    assert whole.code == 0, whole.said
    expected = _state(unkilled)
    kills = [{"act": act} for act in _points(whole.acts, points)]
    kills += [{"seconds": whole.seconds * share} for share in ((0.3, 0.6, 0.9) if storm else (0.6,))]
    died = 0
    for number, kill in enumerate(kills):
        lake = Path(shutil.copytree(before, tmp_path / f"killed-{number}"))
        died += zygote.run(lake, land, okta_project, **kill).code == -9
        _readers_are_served(lake, monkeypatch)
        again = zygote.run(lake, land, okta_project)
        assert (again.code, _state(lake), leftovers(lake)) == (0, expected, []), f"{kill}: {again.said}"
        shutil.rmtree(lake)
    assert died >= points - (2 if storm else 0)


def test_a_landing_killed_again_while_it_heals(
    storm: bool, zygote: Zygote, delivered: Path, tmp_path: Path, okta_project: Path
) -> None:
    land = ["land", SOURCE, str(delivered)]
    unkilled, lake = tmp_path / "unkilled", tmp_path / "lake"
    whole = zygote.run(unkilled, land, okta_project)
    for act in range(whole.acts, 2, -3 if storm else -9):
        assert zygote.run(lake, land, okta_project, act=act).code in (-9, 0)
    assert zygote.run(lake, land, okta_project).code == 0
    assert (_state(lake), leftovers(lake)) == (_state(unkilled), [])


def test_a_killed_build_heals(
    storm: bool, zygote: Zygote, delivered: Path, tmp_path: Path, okta_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed, unkilled = tmp_path / "landed", tmp_path / "unkilled"
    assert zygote.run(landed, ["land", SOURCE, str(delivered)], okta_project).code == 0
    shutil.copytree(landed, unkilled)
    zygote.run(unkilled, BUILD, okta_project)
    shutil.copytree(landed, tmp_path / "warm")
    whole = zygote.run(tmp_path / "warm", BUILD, okta_project)
    assert whole.code == 0, whole.said
    expected = _state(unkilled)
    kills = [{"act": act} for act in _points(whole.acts, 4 if storm else 1)]
    kills += [{"seconds": whole.seconds * share} for share in ((0.6, 0.85) if storm else (0.7,))]
    for number, kill in enumerate(kills):
        lake = Path(shutil.copytree(landed, tmp_path / f"killed-{number}"))
        zygote.run(lake, BUILD, okta_project, **kill)
        _readers_are_served(lake, monkeypatch)
        again = zygote.run(lake, BUILD, okta_project)
        assert (again.code, _state(lake), leftovers(lake)) == (0, expected, []), f"{kill}: {again.said}"
        assert balance(LocalStore(lake)).balanced
