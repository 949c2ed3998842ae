"""`kill -9` at random points of landing, compaction and building over S3: the lake ends as if never killed.

A point is a request that may change the bucket, right before it is sent or right after it was answered, or a random
moment. Commands are killed twice in a row, the second time often while they heal what the first left; then they run
through. Steps follow one another on one lake, as they do in life. `pytest -p randomly --randomly-seed=…` draws the
points of a run again. A few landings are killed; in a storm some sixty commands of every kind. Where every request is
cut once, see `tests/integration/storage/test_publish_in_a_bucket.py`.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from lake import ledger
from lake.ledger.balance import balance
from lake.storage.store import LocalStore
from orchestration.demo.simulators import s3
from tests.crash.zygote import Ended, Zygote
from tests.integration import okta_logs
from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE, event
from tests.integration.s3.lakes import Lake, State

ASK_EVERY = 4  # of the killed commands; a question heals the lake before the next kill
HOURS = [f"2026-03-02T0{hour}:10:00.000Z" for hour in (3, 4, 6)]
BUILD = ["build", "--source", SOURCE]
COMPACT = ["compact", "--source", SOURCE, "--unbuilt", "--settle-hours", "0"]


@dataclass
class Mortal:
    """A lake in a bucket, a warm process whose children work on it, and the points at which they die."""

    zygote: Zygote
    lake: Lake
    project: Path
    environment: dict[str, str]
    points: random.Random
    died: int = 0

    def run(self, words: list[str]) -> Ended:
        """Run a command that must go well."""
        ended = self.zygote.run(self.lake.url, words, self.project, environment=self.environment)
        assert ended.code == 0, ended.said
        return ended

    def kill(self, words: list[str], whole: Ended) -> None:
        """Run a command and kill it somewhere, twice; `whole` is how it went when nobody killed it."""
        for _ in range(2):
            if self.points.random() < 0.7:
                point = {"act": self.points.randint(1, max(1, whole.acts)), "answered": self.points.random() < 0.5}
            else:
                point = {"seconds": self.points.uniform(0.1, 1.0) * whole.seconds}
            ended = self.zygote.run(self.lake.url, words, self.project, environment=self.environment, **point)
            assert ended.code in (0, -9), f"{point}: {ended.said}"
            self.died += ended.code == -9
            if self.died % ASK_EVERY == 0:
                self.ask()

    def ask(self) -> None:
        """Right after a kill a query answers, with just the rows that receipts name."""
        said = headwater("query", "--json", f"select count(*)::int as n from bronze.{SOURCE}")
        store = LocalStore(self.lake.copy())
        assert said.json == [{"n": sum(receipt.landed for receipt in ledger.landings(store, SOURCE))}], said.err

    def state(self) -> State:
        """What the lake holds; where readers look nothing else is, and no work is left."""
        found = self.lake.state()
        assert (found.unnamed, found.leftovers) == ([], [])
        return found


@pytest.fixture
def mortal(
    zygote: Zygote,
    s3_server: s3.S3Server,
    s3_bucket: str,
    okta_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Mortal:
    found = Lake(s3_server.client(), s3_bucket, "lake", tmp_path / "seen")
    environment = s3.environment(s3_server.url) | {"HEADWATER_SCRATCH": str(tmp_path / "scratch")}
    for name, value in {**environment, "HEADWATER_LAKE": found.url}.items():
        monkeypatch.setenv(name, value)
    return Mortal(zygote, found, okta_project, environment, random.Random(random.random()))


def _delivered(folder: Path) -> None:
    okta_logs.delivery(folder)


def _redelivered(folder: Path) -> None:
    """Replace both objects: of their three hours one goes, one comes, one changes; the broken records go."""
    okta_logs.write(
        folder / "a.ndjson", [event(f"new-{n}", hour) for hour in HOURS for n in range(3)], at=1_772_600_000
    )
    okta_logs.write(folder / "b.ndjson", [event("other", HOURS[0])], at=1_772_600_100)


def test_killed_landings_heal(storm: bool, mortal: Mortal, tmp_path: Path) -> None:
    """The objects are replaced time and again, so that every landing moves, deletes, and replaces a receipt."""
    folder, deliveries = tmp_path / "delivered", (_delivered, _redelivered)
    land = ["land", SOURCE, str(folder)]
    wholes, expected = [], []
    for deliver in (*deliveries, *deliveries):
        deliver(folder)
        wholes.append(mortal.run(land))
        expected.append(mortal.state())
    assert expected[:2] == expected[2:], "landing one delivery after the other always ends alike"
    for number in range(rounds := 18 if storm else 2):
        deliveries[number % 2](folder)
        mortal.kill(land, wholes[2 + number % 2])
        mortal.run(land)
        assert mortal.state() == expected[number % 2]
    assert mortal.died >= rounds, "too few were killed: this test proves nothing"


@pytest.mark.storm
def test_killed_compactions_heal(mortal: Mortal, tmp_path: Path) -> None:
    """Every round one more batch comes into hours that were merged before, which are merged again."""
    landed, rounds = 0, 8
    for number in range(2 + rounds):
        batch = okta_logs.write(tmp_path / f"{number}.ndjson", [event(f"{number}-{hour}", hour) for hour in HOURS])
        mortal.run(["land", SOURCE, str(batch)])
        landed += len(HOURS)
        if number == 0:
            continue
        if number == 1:
            whole = mortal.run(COMPACT)
            assert whole.acts, "nothing was merged: this test proves nothing"
            continue
        mortal.kill(COMPACT, whole)
        mortal.run(COMPACT)
        assert len([key for key in mortal.state().rows if key.startswith("bronze/")]) == len(HOURS)
        found = headwater(
            "query", "--json", f"select count(*)::int as n, count(distinct uuid)::int as m from bronze.{SOURCE}"
        )
        assert found.json == [{"n": landed, "m": landed}], found.err
    assert mortal.died >= rounds, "too few were killed: this test proves nothing"


@pytest.mark.storm
def test_killed_builds_heal(mortal: Mortal, tmp_path: Path) -> None:
    folder, deliveries = tmp_path / "delivered", (_delivered, _redelivered)
    wholes, expected, rounds = [], [], 6
    for number in range(4 + rounds):
        deliveries[number % 2](folder)
        mortal.run(["land", SOURCE, str(folder)])
        if number >= 4:
            mortal.kill(BUILD, wholes[2 + number % 2])
        wholes.append(mortal.run(BUILD))
        expected.append(mortal.state())
        if number >= 4:
            assert expected[-1] == expected[2 + number % 2]
        assert balance(LocalStore(mortal.lake.copy())).balanced
    assert mortal.died >= rounds // 2, "too few were killed: this test proves nothing"
