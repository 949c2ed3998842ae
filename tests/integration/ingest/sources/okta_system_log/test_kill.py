"""A fetch that is killed between any two statements goes on where it was, and asks for nothing it has already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.objects import RawObject
from orchestration.demo.simulators.okta.org import OktaSimulator
from tests.integration.ingest.sources.okta_system_log.conftest import (
    HOUR,
    TOKEN,
    MovedClock,
    OktaConfig,
    fetch_hour,
    spread,
    uuids,
)

PAGES = 3
EVENTS = [f"event-{number}" for number in range(10 * PAGES - 5)]
ROOT = Path(__file__).parents[5]


@pytest.fixture
def simulator() -> Iterator[OktaSimulator]:
    with OktaSimulator(spread(len(EVENTS)), token=TOKEN, rate_limit=1_000_000, clock=MovedClock().now) as running:
        yield running


@pytest.fixture
def worker(simulator: OktaSimulator) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.integration.ingest.sources.okta_system_log.killed_fetches", simulator.url]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def _order(worker: subprocess.Popen[str], spool: Path, line: int) -> str:
    worker.stdin.write(f"{spool} {line}\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def test_killed_at_any_line_and_resumed_it_has_every_event_once(simulator, worker, tmp_path):
    outcome, line, killed = "killed", 1, 0
    while outcome == "killed":
        spool = tmp_path / str(line)
        outcome = _order(worker, spool, line)
        killed += outcome == "killed"
        kept, received = _kept(spool), simulator.received

        assert _order(worker, spool, 0) == "ended 0"
        assert simulator.received - received == PAGES - kept, f"killed at line {line}"
        assert uuids(_read(simulator, spool)) == EVENTS, f"killed at line {line}"
        assert not list(spool.glob("*.tmp"))
        line += 17
    assert outcome == "ended 0"
    assert killed > 15


def test_killed_again_and_again_it_comes_to_its_end(simulator, worker, tmp_path):
    spool = tmp_path / "spool"
    outcome, kills = "killed", 0
    while outcome == "killed" and kills < 20:
        outcome = _order(worker, spool, 400)
        kills += outcome == "killed"
    assert outcome == "ended 0"
    assert kills >= PAGES - 1
    assert uuids(_read(simulator, spool)) == EVENTS


def _kept(spool: Path) -> int:
    """How many pages the cursor of a killed fetch names; a page under its own name is always one of them."""
    cursor = spool / "cursor.json"
    names = {page["name"] for page in json.loads(cursor.read_bytes())["pages"]} if cursor.exists() else set()
    assert {path.name for path in spool.glob("page-*.json")} <= names
    return len(names)


def _read(simulator: OktaSimulator, spool: Path) -> list[RawObject]:
    """What a fetch into a full spool gives, which must not ask for anything."""
    received = simulator.received
    pages = fetch_hour(OktaConfig(base_url=simulator.url, limit=10), HOUR, spool, clock=MovedClock().clock)
    assert simulator.received == received
    assert json.loads((spool / "cursor.json").read_bytes())["complete"] is True
    return pages
