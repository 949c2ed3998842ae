"""Asking providers: once for each observable, and never to the damage of an event."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from ingest.lookups.provider import Lookup
from lake.ledger.pending_lookups import answered, pending_receipts
from lake.storage.store import LocalStore
from tests.integration.ingest.lookups.waiting import KEY, Time, answers, ask, lookup, publish_waiting
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator
from tests.simulators.lookups_api import Fault, Kind

BAD, GOOD, OTHER = "8.8.4.4", "9.9.9.9", "1.1.1.1"
DAY, HOUR = 86_400.0, 3600.0


@pytest.fixture
def api(time: Time) -> Iterator[AbuseIpDbSimulator]:
    with AbuseIpDbSimulator({BAD: 100}, KEY, clock=lambda: time.now) as running:
        yield running


def abuse(api: AbuseIpDbSimulator, **options: Any) -> Lookup:
    return lookup("abuseipdb", f"{api.url}/api/v2", **options)


def wait(store: LocalStore, *values: str, **more: Any) -> str:
    return publish_waiting(store, "abuseipdb", values, **more)


def test_what_many_events_of_many_hours_wait_for_is_asked_once(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD, BAD, GOOD, "::ffff:8.8.4.4")
    wait(store, BAD, at=datetime(2026, 3, 2, 7, 0))
    done = ask(store, abuse(api), time)
    assert (done.answered, done.left, done.stopped) == (2, 0, "")
    assert sorted(api.asked) == [BAD, GOOD]
    again = ask(store, abuse(api), time)
    assert (again.waiting, len(api.asked)) == (0, 2)


def test_an_answer_says_what_it_is_worth_and_how_long_it_holds(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD)
    ask(store, abuse(api, lifetime_hours=24), time)
    (row,) = answers(store)
    assert (row["provider"], row["kind"], row["value"], row["status"]) == ("abuseipdb", "ip", BAD, "known")
    assert (row["score"], row["score_id"]) == (100.0, 10)
    assert row["valid_from"] == datetime(1970, 1, 1)
    assert (row["valid_to"] - row["asked_at"]).total_seconds() == 24 * HOUR


def test_an_answer_that_has_expired_is_asked_for_again_and_the_older_one_keeps_its_time(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD)
    ask(store, abuse(api, lifetime_hours=24), time)
    after = datetime(2026, 3, 5, 9, 0)
    wait(store, BAD, at=after)
    time.now += 23 * HOUR
    assert ask(store, abuse(api), time).waiting == 0, "an answer that holds is not asked for again"
    time.now += 40 * HOUR
    assert ask(store, abuse(api), time).answered == 1
    first, second = answers(store)
    assert second["valid_from"] == first["valid_to"] <= after < second["valid_to"]
    assert api.asked == [BAD, BAD]


def test_hours_are_stale_only_where_an_answer_has_come(store: LocalStore, api: AbuseIpDbSimulator, time: Time) -> None:
    wait(store, BAD)
    wait(store, GOOD, at=datetime(2026, 3, 2, 7, 0))
    wait(store, "9.9.9.10", BAD, at=datetime(2026, 3, 2, 8, 0), model="api_activity__aws_cloudtrail")
    assert answered(store, pending_receipts(store)) == set()
    ask(store, abuse(api), time, limit=1)
    assert answered(store, pending_receipts(store)) == {
        ("authentication__okta_system_log", "2026-03-02T05"),
        ("api_activity__aws_cloudtrail", "2026-03-02T08"),
    }


def test_an_answer_that_had_expired_before_an_event_makes_its_hour_not_stale(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD)
    ask(store, abuse(api, lifetime_hours=24), time)
    wait(store, BAD, at=datetime(2026, 3, 9, 5, 0))
    wait(store, GOOD, at=datetime(2026, 3, 9, 6, 0))
    ask(store, abuse(api), time)
    assert ("authentication__okta_system_log", "2026-03-09T05") not in answered(store, pending_receipts(store))


@pytest.mark.parametrize(
    ("kind", "status"), [("error", 503), ("error", 500), ("reset", 0), ("garbage", 200), ("half", 200), ("hang", 0)]
)
def test_a_fault_that_passes_costs_another_try_and_nothing_else(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time, kind: Kind, status: int
) -> None:
    wait(store, BAD, GOOD)
    api.inject(Fault(kind, times=1, status=status))
    done = ask(store, abuse(api, timeout_seconds=0.2), time)
    assert (done.answered, done.left, done.requests) == (2, 0, 3)
    assert len(done.failures) == 1


def test_a_provider_that_is_down_for_a_day_is_asked_ever_more_rarely_and_everything_is_made_up(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, *(f"8.8.{n}.4" for n in range(20)))
    api.stop()
    requests = []
    for _ in range(24):
        requests.append(ask(store, abuse(api), time).requests)
        time.now += HOUR
    assert requests[0] == 9, "three tries for each of three, then it is the provider that is down"
    assert all(number <= 1 for number in requests[1:])
    assert sum(requests[1:]) <= 12, "by and by it is left alone for longer"
    api.start()
    time.now += 6 * HOUR
    done = ask(store, abuse(api), time)
    assert (done.answered, done.left, done.failures) == (20, 0, [])


def test_one_question_that_always_fails_does_not_keep_the_others_waiting(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD, GOOD, OTHER)
    api.inject(Fault("error", where=f"ipAddress={BAD}", times=None))
    assert (done := ask(store, abuse(api), time)).answered == 2
    assert done.left == 1
    assert ask(store, abuse(api), time).requests == 0, "it is asked again in an hour"
    api.heal()
    time.now += HOUR
    assert ask(store, abuse(api), time).answered == 1


def test_not_known_is_an_answer_with_a_lifetime_of_its_own(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD)
    api.inject(Fault("error", times=1, status=404, body='{"errors": []}'))
    assert ask(store, abuse(api, negative_lifetime_hours=2), time).by_status == {"unknown": 1}
    (row,) = answers(store)
    assert (row["status"], row["score_id"]) == ("unknown", None)
    assert (row["valid_to"] - row["asked_at"]).total_seconds() == 2 * HOUR


def test_a_question_that_the_provider_refuses_is_not_asked_again_and_again(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    wait(store, BAD)
    api.inject(Fault("error", times=1, status=422, body='{"errors": []}'))
    assert ask(store, abuse(api), time).by_status == {"refused": 1}
    assert ask(store, abuse(api), time).waiting == 0


def test_a_wrong_key_is_said_once_and_costs_one_request(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(store, BAD, GOOD)
    monkeypatch.setenv("A_LOOKUP_KEY", "another")
    done = ask(store, abuse(api), time)
    assert (done.answered, done.requests, done.needs_look) == (0, 1, True)
    assert "A_LOOKUP_KEY was refused (401" in done.stopped


def test_a_file_that_has_gone_waits_for_nothing(store: LocalStore, api: AbuseIpDbSimulator, time: Time) -> None:
    (store.path / wait(store, BAD)).unlink()
    wait(store, GOOD, at=datetime(2026, 3, 2, 7, 0))
    assert ask(store, abuse(api), time).answered == 1
    assert answered(store, pending_receipts(store)) == {("authentication__okta_system_log", "2026-03-02T07")}


def test_a_damaged_file_keeps_nobody_from_asking_and_building(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    (store.path / wait(store, BAD)).write_bytes(b"PAR1 no more")
    wait(store, GOOD, at=datetime(2026, 3, 2, 7, 0))
    assert ask(store, abuse(api), time).answered == 1
    assert answered(store, pending_receipts(store)) == {("authentication__okta_system_log", "2026-03-02T07")}


@pytest.mark.parametrize("found", ["", "a key\nwith a line break"])
def test_without_a_usable_key_nobody_is_asked_and_nothing_is_spent(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    wait(store, BAD)
    monkeypatch.setenv("A_LOOKUP_KEY", found)
    done = ask(store, abuse(api), time)
    assert (done.requests, api.requests, done.left, done.needs_look) == (0, [], 1, True)
    assert "A_LOOKUP_KEY" in done.stopped
    assert "line break\n" not in done.stopped


def test_addresses_and_names_of_the_house_are_never_sent(
    store: LocalStore, api: AbuseIpDbSimulator, time: Time
) -> None:
    private = ["10.0.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "203.0.113.5", "fe80::1", "fd00::1"]
    wait(store, *private, "2001:db8::1", "::1", "::ffff:192.168.1.1", "192.0.66.9", BAD)
    done = ask(store, abuse(api, never_send=["192.0.66.0/24"]), time)
    assert (done.waiting, api.asked) == (1, [BAD])
