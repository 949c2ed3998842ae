"""Killed with -9 at any instant and started again, compaction ends as if never killed; readers are served all along."""

import random
import shutil
from pathlib import Path

import pytest

from tests.crash.zygote import Zygote
from tests.integration import okta_logs
from tests.integration.lakes import headwater, leftovers, receipts, rows
from tests.integration.okta_logs import SOURCE, event

COMPACT = ["compact", "--unbuilt"]


def _state(lake: Path) -> tuple[object, object]:
    told = receipts(lake)
    for receipt in told.values():
        for name in ("compacted_at", "bytes_before", "bytes_after"):
            receipt.pop(name, None)
    return rows(lake), told


def test_a_killed_compaction_heals(
    storm: bool, zygote: Zygote, tmp_path: Path, okta_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = 12 if storm else 2
    landed, unkilled = tmp_path / "landed", tmp_path / "unkilled"
    for number in range(3):
        records = [event(f"{number}-{hour}", f"2026-03-02T0{hour}:10:00.000Z") for hour in (3, 4)]
        file = okta_logs.write(tmp_path / f"{number}.ndjson", [*records, "{broken"])
        assert zygote.run(landed, ["land", SOURCE, str(file)], okta_project).code == 0
    shutil.copytree(landed, unkilled)
    whole = zygote.run(unkilled, COMPACT, okta_project)
    assert whole.code == 0, whole.said
    expected = _state(unkilled)
    acts = random.Random(whole.acts).sample(range(1, whole.acts + 1), points)
    kills = [{"act": act} for act in acts] + [
        {"seconds": whole.seconds * share} for share in ((0.4, 0.7, 0.9) if storm else (0.7,))
    ]
    died = 0
    for number, kill in enumerate(kills):
        lake = Path(shutil.copytree(landed, tmp_path / f"killed-{number}"))
        died += zygote.run(lake, COMPACT, okta_project, **kill).code == -9
        monkeypatch.setenv("HEADWATER_LAKE", str(lake))
        said = headwater("query", "--json", f"select count(*)::int as n from bronze.{SOURCE}")
        assert (said.code, said.json) == (0, [{"n": 6}]), said.err
        again = zygote.run(lake, COMPACT, okta_project)
        assert (again.code, _state(lake), leftovers(lake)) == (0, expected, []), f"{kill}: {again.said}"
        shutil.rmtree(lake)
    assert died >= points
