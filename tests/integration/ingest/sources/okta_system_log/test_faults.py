"""Each fault a vendor's API can make is healed by waiting, or ends in one error that says what to do."""

from __future__ import annotations

import logging

import pytest

from ingest.transports.fetch_errors import (
    AccessDenied,
    ExpiredCredentials,
    FetchError,
    MissingCredentials,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from tests.integration.ingest.sources.okta_system_log.conftest import (
    HOUR,
    TOKEN,
    TOKEN_ENV,
    OktaConfig,
    fetch_hour,
    spread,
    uuids,
)

ALL = [f"event-{number}" for number in range(95)]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rate_limit", "every": 3, "seconds": 2},
        {"kind": "concurrency", "every": 3, "seconds": 2},
        {"kind": "server_error", "every": 3, "status": 500},
        {"kind": "server_error", "every": 3, "status": 502},
        {"kind": "server_error", "every": 3, "status": 503},
        {"kind": "reset", "every": 3},
        {"kind": "cut", "every": 3},
        {"kind": "not_json", "every": 3},
        {"kind": "no_links", "every": 3},
        {"kind": "hang", "every": 6, "seconds": 5},
        {"kind": "slow", "every": 3, "seconds": 0.1},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}".strip("-"),
)
def test_passing_faults_lose_and_double_nothing(org, fetch, fault):
    simulator = org(spread(95))
    made = simulator.inject(fault["kind"], **{name: value for name, value in fault.items() if name != "kind"})
    assert uuids(fetch(simulator)) == ALL
    assert made.made > 0


def test_all_passing_faults_together_lose_and_double_nothing(org, fetch):
    simulator = org(spread(95))
    for every, kind in [(3, "rate_limit"), (4, "server_error"), (5, "reset"), (7, "cut"), (11, "not_json")]:
        simulator.inject(kind, every=every)
    assert uuids(fetch(simulator, max_attempts=10)) == ALL


def test_a_rate_limit_is_waited_for_until_its_reset_and_not_longer(org, fetch, moved_clock):
    simulator = org(spread(5))
    simulator.inject("rate_limit", times=1, seconds=40)
    fetch(simulator)
    assert [pytest.approx(41, abs=1)] == moved_clock.naps


def test_a_reset_too_far_away_ends_the_fetch_and_says_when_to_come_back(org, fetch, moved_clock):
    simulator = org(spread(5))
    simulator.inject("rate_limit", seconds=3600)
    with pytest.raises(RateLimited, match=r"may go out in 3\d{3} s, which is longer than the 300 s"):
        fetch(simulator)
    assert moved_clock.naps == []


def test_an_endless_rate_limit_ends_within_the_allowed_waiting(org, fetch, moved_clock):
    simulator = org(spread(5))
    simulator.inject("rate_limit", seconds=1)
    with pytest.raises(RateLimited):
        fetch(simulator, max_wait_seconds=60)
    assert 30 < sum(moved_clock.naps) <= 60


def test_a_dead_server_is_left_alone_after_the_allowed_attempts(org, fetch, moved_clock):
    simulator = org(spread(5))
    simulator.inject("server_error", status=502)
    with pytest.raises(Unreachable, match="no page after 6 attempts"):
        fetch(simulator)
    assert simulator.received == 6
    # Doubling from 1 s, the upper half random: strictly growing, 15.5 to 31 s in all.
    assert moved_clock.naps == sorted(moved_clock.naps)
    assert 15.5 <= sum(moved_clock.naps) <= 31


def test_no_server_at_all_is_an_unreachable_one(org, moved_clock, tmp_path):
    simulator = org([])
    config = OktaConfig(base_url=simulator.url)
    simulator.stop()
    with pytest.raises(Unreachable, match="no connection"):
        fetch_hour(config, HOUR, tmp_path, clock=moved_clock.clock)


def test_an_expired_token_names_the_setting_and_keeps_the_pages(org, fetch):
    simulator = org(spread(95))
    simulator.inject("expired", after=4, times=1)
    with pytest.raises(ExpiredCredentials, match=rf"{TOKEN_ENV} were refused \(401 E0000011: Invalid token provided\)"):
        fetch(simulator)
    assert simulator.received == 5

    simulator.token = TOKEN
    assert uuids(fetch(simulator)) == ALL
    assert simulator.received == 5 + 6


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("forbidden", AccessDenied, "403 E0000006"),
        ("bad_request", RequestRefused, "400 E0000001"),
    ],
)
def test_final_answers_are_not_asked_for_again(org, fetch, kind, error, words):
    simulator = org(spread(5))
    simulator.inject(kind)
    with pytest.raises(error, match=words):
        fetch(simulator)
    assert simulator.received == 1


def test_half_of_the_limit_is_left_to_others(org, fetch, moved_clock):
    simulator = org(spread(95), rate_limit=8, token_share=0.5)
    fetch(simulator)
    assert [request.status for request in simulator.requests] == [200] * 10
    assert len(moved_clock.naps) == 2


def test_hours_that_share_a_budget_keep_within_it_together(org, moved_clock, tmp_path):
    simulator = org(spread(20), rate_limit=8, token_share=0.5)
    config = OktaConfig(base_url=simulator.url, limit=10)
    for name in ("a", "b", "c"):
        fetch_hour(config, HOUR, tmp_path / name, clock=moved_clock.clock)
    assert [request.status for request in simulator.requests] == [200] * 6


def test_a_limit_lower_than_expected_is_still_obeyed(org, fetch):
    """The token's share is 25 %, ours is set to 50 %: the 429s are waited for."""
    simulator = org(spread(95), rate_limit=8, token_share=0.25)
    assert uuids(fetch(simulator)) == ALL
    assert 429 in {request.status for request in simulator.requests}


def test_a_cursor_that_okta_no_longer_knows_starts_the_window_again(org, fetch, caplog):
    simulator = org(spread(95))
    down = simulator.inject("server_error", after=4)
    with pytest.raises(Unreachable):
        fetch(simulator)
    simulator.heal()
    simulator.inject("bad_request", times=1)
    received = simulator.received
    assert uuids(fetch(simulator)) == ALL
    assert simulator.received - received == 1 + 10
    assert down.made and "fetched again from its first page" in caplog.text


@pytest.mark.parametrize("value", ["", "  ", "two words", "line\nbreak", "naïve"])
def test_a_token_that_cannot_be_sent_is_refused_unseen(org, fetch, monkeypatch, value):
    monkeypatch.setenv(TOKEN_ENV, value)
    simulator = org([])
    with pytest.raises(MissingCredentials, match=TOKEN_ENV) as refused:
        fetch(simulator)
    assert not value.strip() or value not in _everything(refused.value)
    assert simulator.requests == []


@pytest.mark.parametrize(
    "kind", ["rate_limit", "server_error", "reset", "cut", "hang", "not_json", "expired", "forbidden", "bad_request"]
)
def test_the_token_is_in_no_log_no_exception_and_no_file(org, fetch, tmp_path, caplog, kind):
    caplog.set_level(logging.DEBUG)
    simulator = org(spread(15))
    simulator.inject(kind, after=1, seconds=1)
    with pytest.raises(FetchError) as raised:
        fetch(simulator, max_attempts=2, max_wait_seconds=10, timeout_seconds=0.1)
    spooled = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir())
    assert (kind == "bad_request" or b"event-0" in spooled) and caplog.text  # which starts the window again
    for text in (_everything(raised.value), caplog.text, spooled.decode()):
        assert TOKEN not in text and "Authorization" not in text and "SSWS" not in text


def test_a_token_repeated_by_the_server_is_hidden(org, fetch, monkeypatch):
    monkeypatch.setenv(TOKEN_ENV, "E0000011")
    with pytest.raises(ExpiredCredentials) as refused:
        fetch(org([]))
    assert "401 ***: Invalid token provided" in str(refused.value)


def _everything(error: BaseException | None) -> str:
    """The error and all that it came from, as a traceback would show them."""
    if error is None:
        return ""
    return f"{error!r} {error} {_everything(error.__cause__)} {_everything(error.__context__)}"
