"""A push is killed (`kill -9`) at random points: nothing is lost, and at most the open batches are there twice."""

import random
import time

import pytest

from lake.ledger.export_receipts import exported
from tests.integration.export.adapters import Splunk
from tests.integration.export.contract import started
from tests.integration.export.hec import newest_is
from tests.integration.export.warm import Warm, WarmProcess
from tests.unit.export.lakes import HOUR, SmallLake

ROWS, BATCH, WINDOW = 1500, 20, 4


def kill_after(splunk: Splunk, pushing: Warm, bodies: int) -> None:
    """Kill a push when some more bodies have been taken, wherever it is then."""
    before = len(splunk.posts())
    pushing.start(HOUR)
    while len(splunk.posts()) < before + bodies:
        time.sleep(0.002)
    pushing.kill()
    assert pushing.ended().code == -9, "the push ended before it could be killed"


@pytest.mark.storm
def test_killed_at_random_points_every_event_is_there_and_the_newest_of_each_is_found_once(
    lake: SmallLake, warm: WarmProcess, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    lake.silver(rows=ROWS)
    with started(Splunk, lake, monkeypatch, request) as splunk:
        assert isinstance(splunk, Splunk)
        splunk.hec.index.ack_delay = 0.03
        options = splunk.options(batch_events=BATCH, unacknowledged=WINDOW, connections=2)
        pushing = Warm(warm, lake, "splunk", options)
        kills = [chance.randrange(15, 30), chance.randrange(1, 20), chance.randrange(1, 20)]
        for bodies in kills:
            kill_after(splunk, pushing, bodies)
            assert exported(lake.store, "there", "authentication") == {}
        ended = pushing.push(HOUR)
        assert ended.code == 0, f"{ended.said}, seed {seed}"
        receipt = exported(lake.store, "there", "authentication")[HOUR]
        assert receipt.matches and newest_is(splunk, range(ROWS), receipt), f"seed {seed}"
        twice = sum(splunk.hec.counts().values()) - ROWS
        assert twice <= len(kills) * WINDOW * BATCH, f"seed {seed}"
        assert receipt.sent < ROWS, "what was acknowledged before the kills did not go again"
        assert len(splunk.progress) == 1
