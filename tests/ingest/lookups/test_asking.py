"""Asking providers: once for each observable, within the budget, and never to the damage of an event."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ingest.lookups.asking import Asked, ask_pending
from ingest.lookups.kinds import Lookup
from ingest.transports.clock import Clock
from lake.store import LocalStore
from tests.ingest.lookups.waiting import AT, Time, answers, lookup, publish_waiting
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator

KEY = "k3y-of-the-simulator"
BAD, GOOD = "8.8.4.4", "9.9.9.9"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, time: Time) -> Iterator[AbuseIpDbSimulator]:
    monkeypatch.setenv("A_LOOKUP_KEY", KEY)
    with AbuseIpDbSimulator({BAD: 100}, KEY, clock=lambda: time.now) as running:
        yield running


def abuse(api: AbuseIpDbSimulator, **options: object) -> Lookup:
    return lookup("abuseipdb", f"{api.url}/api/v2", **options)


def ask(store: LocalStore, provider: Lookup, time: Time, limit: int | None = None) -> Asked:
    return ask_pending(store, provider, limit, Clock(lambda: time.now, time.sleep))


def test_what_many_events_of_many_hours_wait_for_is_asked_once(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    publish_waiting(store, "abuseipdb", [BAD, BAD, GOOD, "::ffff:8.8.4.4"])
    publish_waiting(store, "abuseipdb", [BAD], at=datetime(2026, 3, 2, 7, 0))
    done = ask(store, abuse(api), time)
    assert (done.answered, done.left, done.stopped) == (2, 0, "")
    assert sorted(api.asked) == [BAD, GOOD]
    again = ask(store, abuse(api), time)
    assert (again.waiting, len(api.asked)) == (0, 2)


def test_an_answer_says_what_it_is_worth_and_how_long(store: LocalStore, api: AbuseIpDbSimulator, time: Time) -> None:
    publish_waiting(store, "abuseipdb", [BAD])
    ask(store, abuse(api, lifetime_hours=24), time)
    (row,) = answers(store)
    assert (row["provider"], row["kind"], row["value"], row["status"]) == ("abuseipdb", "ip", BAD, "known")
    assert (row["score"], row["score_id"]) == (100.0, 10)
    assert row["valid_from"] == datetime(1970, 1, 1)
    assert (row["valid_to"] - row["asked_at"]).total_seconds() == 24 * 3600
    assert row["asked_at"].timestamp() != AT
