"""The simulated org holds to what Okta publishes about its System Log API."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from orchestration.demo.simulators.loopback import simulator
from orchestration.demo.simulators.okta.org import OktaSimulator

START = datetime(2026, 11, 20, 5, tzinfo=UTC)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def events(count: int) -> list[dict[str, Any]]:
    return [{"uuid": str(number), "published": at(number)} for number in range(count)]


@pytest.fixture
def org() -> Iterator[OktaSimulator]:
    now = (START + timedelta(hours=2)).timestamp()
    with OktaSimulator(events(250), token="t", rate_limit=1000, clock=lambda: now) as running:
        yield running


def ask(simulator: OktaSimulator, link: str = "", token: str = "t", **params: Any) -> requests.Response:
    url = link or f"{simulator.url}/api/v1/logs"
    return requests.get(url, params=params, headers={"Authorization": f"SSWS {token}"}, timeout=5)


def numbers(answer: requests.Response) -> list[int]:
    return [int(record["uuid"]) for record in answer.json()]


def test_a_page_has_100_events_unless_asked_otherwise(org):
    assert numbers(ask(org, since=at(0), until=at(999))) == list(range(100))
    assert numbers(ask(org, since=at(0), until=at(999), limit=7)) == list(range(7))


def test_bounded_pages_end_without_a_next_link(org):
    answers = [ask(org, since=at(0), until=at(999))]
    while "next" in answers[-1].links:
        answers.append(ask(org, answers[-1].links["next"]["url"]))
    assert [len(answer.json()) for answer in answers] == [100, 100, 50]
    assert all("self" in answer.links for answer in answers)


def test_a_full_last_page_has_no_next_link(org):
    assert "next" not in ask(org, since=at(0), until=at(100)).links


def test_since_is_included_and_until_is_not(org):
    assert numbers(ask(org, since=at(3), until=at(6))) == [3, 4, 5]


def test_descending_pages_come_from_the_end(org):
    first = ask(org, since=at(0), until=at(5), sortOrder="DESCENDING", limit=3)
    assert numbers(first) == [4, 3, 2]
    assert numbers(ask(org, first.links["next"]["url"])) == [1, 0]


def test_without_since_it_is_the_last_seven_days(org):
    org.log.add([{"uuid": "900", "published": at(-8 * 86400)}, {"uuid": "901", "published": at(-6 * 86400)}])
    assert numbers(ask(org, until=at(1))) == [901, 0]


def test_polling_always_has_a_next_link_and_finds_later_events_through_it(org):
    answer = ask(org, since=at(0), limit=1000)
    assert len(answer.json()) == 250
    empty = ask(org, answer.links["next"]["url"])
    assert empty.json() == []
    org.log.add([{"uuid": "900", "published": at(900)}])
    assert numbers(ask(org, empty.links["next"]["url"])) == [900]


def test_polling_is_in_the_order_of_persistence_and_bounded_in_that_of_publication():
    now = [(START + timedelta(hours=2)).timestamp()]
    with OktaSimulator(events(50), token="t", live=True, lag_seconds=600, seed=1, clock=lambda: now[0]) as org:
        polled = numbers(ask(org, since=at(0)))
        assert polled != sorted(polled)
        assert sorted(polled) == numbers(ask(org, since=at(0), until=at(50))) == list(range(50))


def test_an_event_is_not_served_before_it_is_persisted():
    now = [(START + timedelta(seconds=50)).timestamp()]
    with OktaSimulator(events(50), token="t", live=True, lag_seconds=600, seed=1, clock=lambda: now[0]) as org:
        assert 0 < len(ask(org, since=at(0), until=at(50)).json()) < 50
        now[0] += 600
        assert len(ask(org, since=at(0), until=at(50)).json()) == 50


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 1001},
        {"limit": "many"},
        {"since": "yesterday"},
        {"until": "tomorrow"},
        {"since": at(9), "until": at(8)},
        {"sortOrder": "SIDEWAYS"},
        {"after": "nonsense"},
        {"filter": 'eventType eq "x"'},
    ],
)
def test_bad_parameters_are_refused(org, params):
    answer = ask(org, **params)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")


def test_other_tokens_paths_and_faults_have_their_error_objects(org):
    assert (ask(org, token="other").status_code, ask(org, token="other").json()["errorCode"]) == (401, "E0000011")
    assert ask(org, f"{org.url}/api/v1/users").status_code == 404
    org.inject("forbidden", times=1)
    assert ask(org).json()["errorCode"] == "E0000006"
    org.inject("expired", times=1)
    assert [ask(org).status_code, ask(org).status_code] == [401, 401]


def test_the_rate_limit_counts_down_answers_429_and_opens_again():
    now = [1_795_000_000.0]
    with OktaSimulator(events(1), token="t", rate_limit=3, window_seconds=60, clock=lambda: now[0]) as org:
        answers = [ask(org) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["X-Rate-Limit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["X-Rate-Limit-Reset"] for answer in answers} == {"1795000060"}
        assert answers[-1].json()["errorCode"] == "E0000047"
        now[0] += 60
        assert ask(org).status_code == 200


def test_a_429_for_concurrency_reports_concurrency_in_the_same_headers(org):
    org.inject("concurrency", times=1)
    assert ask(org).headers["X-Rate-Limit-Limit"] == "75"
    assert ask(org).headers["X-Rate-Limit-Limit"] == "1000"


def test_an_event_without_a_readable_time_stands_where_the_one_before_it_stands():
    lines = [json.dumps({"uuid": "1", "published": at(5)}), '{"uuid": "2", "published": 7}', '{"uuid": "3"}']
    with OktaSimulator(lines, token="t") as org:
        assert numbers(ask(org, since=at(5), until=at(6))) == [1, 2, 3]


def test_it_runs_as_a_process(tmp_path):
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(event) for event in events(5)).encode()))
    words = ["--events", str(path), "--token-env", "SOME_TOKEN", "--rate-limit", "9", "--fault", "rate_limit:2"]
    with simulator("okta", *words, environment={"SOME_TOKEN": "t"}) as process:
        headers = {"Authorization": "SSWS t"}
        link = f"{process.url}/api/v1/logs?until={at(9)}"
        answers = [requests.get(link, headers=headers, timeout=5) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert len(answers[0].json()) == 5
    assert answers[0].headers["X-Rate-Limit-Limit"] == "9"
