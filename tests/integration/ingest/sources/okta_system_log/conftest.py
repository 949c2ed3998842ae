"""A simulated org, a clock that tests move, and a token that must never show up anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.objects import RawObject
from ingest.sources import api_of
from lake.base.http import SYSTEM_CLOCK, Clock
from orchestration.demo.simulators.okta.org import OktaSimulator

HOUR = datetime(2026, 11, 20, 5, tzinfo=UTC)
TOKEN = "00very-SECRET_token.value"
TOKEN_ENV = "HEADWATER_OKTA_TOKEN"


API = api_of("okta_system_log")
OktaConfig = API.Place


def fetch_hour(config: Any, hour: datetime, spool: Path, clock: Clock = SYSTEM_CLOCK) -> list[RawObject]:
    return API.fetch(config, hour, spool, clock).objects


@dataclass
class MovedClock:
    """Stands still until somebody sleeps; the naps are kept."""

    at: float = (HOUR + timedelta(hours=6)).timestamp()
    naps: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += seconds

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.sleep)


def event(number: int, published: datetime) -> dict[str, Any]:
    stamp = published.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"uuid": f"event-{number}", "published": stamp, "eventType": "user.session.start"}


def spread(count: int, start: datetime = HOUR) -> list[dict[str, Any]]:
    """`count` events spread evenly over the hour from `start`, its first millisecond included."""
    return [event(number, start + number * timedelta(hours=1) / count) for number in range(count)]


def uuids(objects: list[RawObject]) -> list[str]:
    return [record["uuid"] for page in objects for record in json.loads(page.open().read())]


@pytest.fixture
def moved_clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    return TOKEN


@pytest.fixture
def org(moved_clock: MovedClock) -> Iterator[Callable[..., OktaSimulator]]:
    """Starts simulated orgs that live on the moved clock and take the token."""
    with ExitStack() as running:

        def start(events: list[dict[str, Any]], **options: Any) -> OktaSimulator:
            simulator = OktaSimulator(events, token=TOKEN, clock=moved_clock.now, **options)
            return running.enter_context(simulator)

        yield start


@pytest.fixture
def fetch(moved_clock: MovedClock, tmp_path: Path) -> Callable[..., list[RawObject]]:
    """Fetches HOUR, ten events a page, into one spool; keyword arguments are settings of OktaConfig."""

    def run(simulator: OktaSimulator, hour: datetime = HOUR, **settings: Any) -> list[RawObject]:
        config = OktaConfig(base_url=simulator.url, **{"limit": 10, "timeout_seconds": 0.3, **settings})
        return fetch_hour(config, hour, tmp_path / "spool", clock=moved_clock.clock)

    return run
