"""Processes that work on one lake at once, as if on different machines: nothing is lost, nothing comes twice.

Each process has a scratch folder of its own, so that nothing of this machine orders them, only the bucket.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration.demo.simulators import s3
from tests.crash.zygote import Ended, Zygote
from tests.integration import okta_logs
from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE, event
from tests.integration.s3.lakes import Lake

HOURS = [f"2026-03-02T{hour:02}:10:00.000Z" for hour in range(6)]


@pytest.fixture(scope="module")
def zygotes(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Zygote]]:
    with Zygote(tmp_path_factory.mktemp("two")) as two:
        yield [zygote, two]


class Machines:
    """Two machines and the lake that they share."""

    def __init__(self, zygotes: list[Zygote], lake: Lake, project: Path, server: str, place: Path) -> None:
        self.lake, self._zygotes, self._project = lake, zygotes, project
        scratches = [place / "machine-1", place / "machine-2"]
        self._environments = [{**s3.environment(server), "HEADWATER_SCRATCH": str(each)} for each in scratches]

    def at_once(self, *commands: list[str]) -> list[Ended]:
        """Run a command on each machine, at the same time."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self._run, self._zygotes, commands, self._environments))

    def _run(self, zygote: Zygote, words: list[str], environment: dict[str, str]) -> Ended:
        return zygote.run(self.lake.url, words, self._project, environment=environment)


@pytest.fixture
def machines(
    zygotes: list[Zygote],
    s3_server: s3.S3Server,
    s3_bucket: str,
    okta_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Machines:
    found = Lake(s3_server.client(), s3_bucket, "lake", tmp_path / "seen")
    monkeypatch.setenv("HEADWATER_LAKE", found.url)
    monkeypatch.setenv("HEADWATER_SCRATCH", str(tmp_path / "observer"))
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    return Machines(zygotes, found, okta_project, s3_server.url, tmp_path)


def _whole(machines: Machines, events: int) -> None:
    """All is published once, the sheet balances, and nothing lies about."""
    assert headwater("build", "--source", SOURCE).code == 0
    sheet = headwater("balance", "--json")
    assert sheet.code == 0, sheet.out
    assert (sheet.json["total"]["landed"], sheet.json["total"]["published"]) == (events, events)
    state = machines.lake.state()
    assert (state.unnamed, state.leftovers) == ([], [])


@pytest.mark.parametrize("round_", [0, *(pytest.param(again, marks=pytest.mark.storm) for again in (1, 2))])
def test_the_same_objects_landed_twice_at_once_are_there_once(machines: Machines, tmp_path: Path, round_: int) -> None:
    file = okta_logs.write(tmp_path / "a.ndjson", [event(f"{round_}-{n}", hour) for hour in HOURS for n in range(50)])
    land = ["land", SOURCE, str(file)]
    assert [ended.code for ended in machines.at_once(land, land)] == [0, 0]
    _whole(machines, 300)


@pytest.mark.parametrize("round_", [0, *(pytest.param(again, marks=pytest.mark.storm) for again in (1, 2))])
def test_different_objects_landed_at_once_are_all_there(machines: Machines, tmp_path: Path, round_: int) -> None:
    """Their events lie in the same hours."""
    files = [
        okta_logs.write(tmp_path / f"{name}.ndjson", [event(f"{name}-{n}", hour) for hour in HOURS for n in range(50)])
        for name in ("one", "two")
    ]
    ended = machines.at_once(*(["land", SOURCE, str(file)] for file in files))
    assert [each.code for each in ended] == [0, 0], ended
    _whole(machines, 600)


@pytest.mark.parametrize(
    "hours", [("00", "00"), ("00", "03")], ids=["the same hours", "different hours, whose receipts share a file"]
)
def test_builds_at_once_publish_everything_once(machines: Machines, tmp_path: Path, hours: tuple[str, str]) -> None:
    file = okta_logs.write(tmp_path / "a.ndjson", [event(f"{n}", hour) for hour in HOURS for n in range(50)])
    assert headwater("land", SOURCE, file).code == 0
    build = ["build", "--source", SOURCE]
    ended = machines.at_once(*([*build, "--from", f"2026-03-02T{hour}", "--to", "2026-03-02T05"] for hour in hours))
    assert [each.code for each in ended] == [0, 0], ended
    sheet = headwater("balance", "--json")
    assert (sheet.code, sheet.json["total"]["published"]) == (0, 300), sheet.out
    _whole(machines, 300)


def test_a_landing_a_build_and_a_compaction_at_once_lose_nothing(machines: Machines, tmp_path: Path) -> None:
    files = [
        okta_logs.write(tmp_path / f"{name}.ndjson", [event(f"{name}-{n}", hour) for hour in HOURS for n in range(20)])
        for name in ("one", "two", "three")
    ]
    for file in files[:2]:
        assert headwater("land", SOURCE, file).code == 0
    compact = ["compact", "--source", SOURCE, "--unbuilt", "--settle-hours", "0"]
    ended = machines.at_once(["land", SOURCE, str(files[2])], compact)
    assert ended[0].code == 0, ended
    ended = machines.at_once(["build", "--source", SOURCE], compact)
    if ended[
        0
    ].code:  # it was slow, and read what was merged meanwhile: with --unbuilt that may be; its hours stay stale
        assert headwater("build", "--source", SOURCE).code == 0, ended
    _whole(machines, 360)
