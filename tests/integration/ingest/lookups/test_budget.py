"""Budgets hold: per minute, day and month, over restarts, kills and processes that ask at the same time."""

import multiprocessing
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.lookups.ask import ask_pending
from ingest.lookups.budget import read_spent
from ingest.lookups.provider import Lookup
from lake.ledger import BrokenReceipt
from lake.ledger.lookup_answers import receipt_of
from lake.ledger.pending_lookups import answered, pending_receipts
from lake.storage.paths import lookup_spent
from lake.storage.publish import open_store
from lake.storage.store import LocalStore
from tests.integration.ingest.lookups.waiting import KEY, Time, answers, ask, lookup, publish_waiting
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator
from tests.simulators.lookups_api import Fault
from tests.simulators.lookups_virustotal import VirusTotalSimulator
from tests.unit.lake.mortal import Killed, Mortal
from tests.unit.lake.stores import opened

ADDRESSES = [f"8.8.{n}.4" for n in range(12)]
DAY = 86_400.0


@pytest.fixture
def api(time: Time) -> Iterator[AbuseIpDbSimulator]:
    with AbuseIpDbSimulator(key=KEY, per_day=10_000, clock=lambda: time.now) as running:
        yield running


def abuse(api: AbuseIpDbSimulator, **options: Any) -> Lookup:
    return lookup("abuseipdb", f"{api.url}/api/v2", **options)


def spent(store: LocalStore) -> int:
    return read_spent(store, "abuseipdb")[0].of_day


def test_a_minute_has_its_budget_and_waiting_for_the_next_one_is_enough(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "virustotal", ADDRESSES)
    with VirusTotalSimulator(dict.fromkeys(ADDRESSES, 0), KEY, per_minute=4, clock=lambda: time.now) as api:
        done = ask(store, lookup("virustotal", f"{api.url}/api/v3"), time)
    assert (done.answered, done.requests, done.failures) == (12, 12, [])
    assert 120 <= time.slept <= 180
    assert max(sum(1 for at in api.at if start <= at < start + 60) for start in api.at) == 4


def test_a_day_has_its_budget_and_the_rest_is_asked_the_next_day(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    first = ask(store, abuse(api, per_day=5), time)
    assert (first.answered, first.left, len(api.asked)) == (5, 7, 5)
    assert "the budget of the day (5) is spent until 2026-03-04T00:00" in first.stopped
    assert not first.needs_look
    assert ask(LocalStore(store.path), abuse(api, per_day=5), time).requests == 0, "a new process spends no more"
    time.now += DAY
    assert ask(store, abuse(api, per_day=5), time).answered == 5


def test_a_month_has_its_budget_and_begins_anew_on_its_first_day(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    time.now = datetime(2026, 3, 30, 12, tzinfo=UTC).timestamp()
    assert ask(store, abuse(api, per_day=4, per_month=6), time).answered == 4
    time.now += DAY
    done = ask(store, abuse(api, per_day=4, per_month=6), time)
    assert done.answered == 2
    assert "the budget of the month (6) is spent until 2026-04-01T00:00" in done.stopped
    time.now += DAY
    assert ask(store, abuse(api, per_day=4, per_month=6), time).answered == 4


def test_what_the_provider_itself_says_of_its_limit_is_kept_to(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    api.per_day = 3
    assert ask(store, abuse(api), time).answered == 3
    assert len(api.requests) == 3, "X-RateLimit-Remaining said that nothing is left: no request is thrown after it"
    time.now += 120
    refused = ask(store, abuse(api), time)
    assert (refused.requests, refused.answered) == (1, 0)
    time.now += 3600
    assert ask(store, abuse(api), time).requests == 0, "Retry-After says when it goes on"
    assert "asked again from 2026-03-04T00:0" in ask(store, abuse(api), time).stopped
    time.now += DAY
    assert ask(store, abuse(api), time).answered == 3


def test_a_clock_that_is_set_back_gives_nothing_back(store: LocalStore, api: AbuseIpDbSimulator, time: Time) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    ask(store, abuse(api, per_day=5), time)
    time.now -= 3 * DAY
    assert ask(store, abuse(api, per_day=5), time).requests == 0
    time.now += 3 * DAY
    ask(store, abuse(api, per_minute=2, per_day=7), time)
    time.now, time.slept = time.now - 3600, 0.0
    ask(store, abuse(api, per_minute=2, per_day=9), time)
    assert 0 < time.slept <= 120, "nor is it waited for until the clock has caught up"


def test_a_wait_without_end_ends(store: LocalStore, api: AbuseIpDbSimulator, time: Time) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    api.inject(Fault("error", times=1, status=429, headers={"Retry-After": "999999999999999"}))
    ask(store, abuse(api), time)
    assert "asked again from 2026-04-03" in ask(store, abuse(api), time).stopped
    time.now += 32 * DAY
    assert ask(store, abuse(api), time).answered == 12


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_anywhere_spends_no_more_than_the_record_says_and_loses_no_answer(
    tmp_path: Path, api: AbuseIpDbSimulator, time: Time, after: bool
) -> None:
    for dies_at in range(1, 40):
        root, before = tmp_path / f"{dies_at}-{after}", len(api.asked)
        publish_waiting(LocalStore(root), "abuseipdb", ADDRESSES[:2])
        died = False
        try:
            ask(Mortal(root, dies_at, after=after), abuse(api), time)
        except Killed:
            died = True
        store, paid = LocalStore(root), len(api.asked) - before
        assert spent(store) >= paid, f"death at act {dies_at}"
        done = ask(store, abuse(api), time)
        assert (len(answers(store)), done.left) == (2, 0)
        assert len(api.asked) - before <= 2 + died, "only the one question whose answer had not been written"
        if not died:
            return
    pytest.fail("it never came to an end alive")


def _ask_in_a_process(root: str, url: str) -> None:
    lookup_ = lookup("abuseipdb", url, per_day=8)
    os._exit(0 if ask_pending(open_store(root), lookup_).answered <= 8 else 1)


def test_processes_that_ask_at_once_spend_one_budget_and_ask_nothing_twice(
    store: LocalStore, api: AbuseIpDbSimulator
) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    fork = multiprocessing.get_context("fork")
    given = (str(store.path), f"{api.url}/api/v2")
    processes = [fork.Process(target=_ask_in_a_process, args=given, daemon=True) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(api.asked) == len(set(api.asked)) == 8
    assert spent(store) == len(answers(store)) == 8


def test_a_lake_in_a_bucket_keeps_the_budget_and_the_answers_as_well(
    tmp_path: Path, request: pytest.FixtureRequest, api: AbuseIpDbSimulator, time: Time
) -> None:
    open_lake = opened("bucket", tmp_path, request)
    publish_waiting(open_lake(), "abuseipdb", ADDRESSES[:5])
    assert ask(open_lake(), abuse(api, per_day=3), time).answered == 3
    done = ask(open_lake(), abuse(api, per_day=3), time)
    assert (done.requests, done.left) == (0, 2)
    time.now += DAY
    assert ask(open_lake(), abuse(api, per_day=3), time).answered == 2
    assert len(answers(open_lake())) == len(api.asked) == 5
    store = open_lake()
    assert len(answered(store, pending_receipts(store))) == 1


def test_a_record_that_cannot_be_read_stops_asking_and_says_what_to_do(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    publish_waiting(store, "abuseipdb", ADDRESSES)
    store.write(lookup_spent("abuseipdb"), b"{broken")
    with pytest.raises(BrokenReceipt, match="Restore it from a backup"):
        ask(store, abuse(api), time)
    assert api.requests == []


def test_many_small_files_become_one_and_those_before_stay_for_a_day(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    def on_disk() -> int:
        return len(list((store.path / "reference").rglob("*.parquet")))

    publish_waiting(store, "abuseipdb", [f"8.9.{n}.4" for n in range(80)])
    ask(store, abuse(api), time, limit=40)
    held = receipt_of(store, "abuseipdb")
    assert (len(held.files), held.answers, on_disk()) == (8, 40, 40), "a build may be reading the files before"
    time.now += 2 * DAY
    ask(store, abuse(api, lifetime_hours=24 * 30), time)
    held = receipt_of(store, "abuseipdb")
    assert held.answers == len(answers(store)) == 80
    assert on_disk() == len(held.files) + len(held.superseded)
    assert on_disk() < 80
