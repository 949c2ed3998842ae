"""A push is killed (`kill -9`) at random points: nothing is lost, and at most the open batches are there twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.ledger.export_receipts import exported
from tests.integration.export.hec import TOKEN, Splunk, newest_is, once, running
from tests.integration.export.hec_push import BATCH, WINDOW
from tests.unit.export.lakes import HOUR, SmallLake

ROOT = Path(__file__).parents[3]
ROWS = 1500


@pytest.fixture
def splunk(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Splunk]:
    monkeypatch.setenv("HEADWATER_SPLUNK_TOKEN", TOKEN)
    lake.silver(rows=ROWS)
    yield from running(lake, ack_delay=0.03)


def pushing(splunk: Splunk) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.integration.export.hec_push", str(splunk.lake.scratch), splunk.hec.url]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill_after(splunk: Splunk, process: subprocess.Popen[str], bodies: int) -> None:
    """Kill a process when some more bodies have been taken, wherever it is then."""
    before = len(splunk.posts())
    while len(splunk.posts()) < before + bodies:
        assert process.poll() is None, "the push ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    assert process.wait(10) == -9


def test_killed_at_random_points_every_event_is_there_and_the_newest_of_each_is_found_once(splunk):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    kills = [chance.randrange(15, 30), chance.randrange(1, 20), chance.randrange(1, 20)]
    for bodies in kills:
        kill_after(splunk, pushing(splunk), bodies)
        assert exported(splunk.lake.store, "there", "authentication") == {}
    with pushing(splunk) as process:
        told, _ = process.communicate(timeout=60)
    assert told.startswith("True"), f"seed {seed}"
    receipt = exported(splunk.lake.store, "there", "authentication")[HOUR]
    assert receipt.matches and newest_is(splunk, range(ROWS), receipt), f"seed {seed}"
    twice = sum(splunk.hec.counts().values()) - ROWS
    assert twice <= len(kills) * WINDOW * BATCH, f"seed {seed}"
    assert receipt.sent < ROWS, "what was acknowledged before the kills did not go again"
    assert len(splunk.progress) == 1


def test_two_processes_that_push_an_hour_at_once_send_it_once(splunk):
    first, second = pushing(splunk), pushing(splunk)
    told = [each.communicate(timeout=60)[0].split()[0] for each in (first, second)]
    assert told == ["True", "True"]
    assert once(splunk, range(ROWS))
