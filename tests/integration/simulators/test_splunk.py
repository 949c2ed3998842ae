"""The simulated collector holds to what Splunk publishes about its HTTP Event Collector."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from orchestration.demo.simulators.splunk.hec import SplunkSimulator
from orchestration.demo.simulators.splunk.index import CODES, Token

CHANNEL = "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"
OTHER = "1aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"
GOOD, BLANK, NONE = '{"event":"a"}', '{"event":""}', '{"fields":{"a":"b"},"host":"h"}'
NESTED = '{"event":"a","fields":{"a":{"b":"c"}}}'
ELSEWHERE = '{"event":"a","index":"secret"}'


@pytest.fixture
def hec() -> Iterator[SplunkSimulator]:
    tokens = [Token("acks", indexes=("main", "security")), Token("plain", acknowledges=False)]
    with SplunkSimulator([*tokens, Token("off", enabled=False)]) as running:
        yield running


def post(
    hec: SplunkSimulator,
    body: str | bytes,
    token: str = "plain",
    path: str = "event",
    channel: str = "",
    **headers: str,
) -> tuple[int, dict[str, Any]]:
    given = {"Authorization": f"Splunk {token}"} if token else {}
    given |= {"X-Splunk-Request-Channel": channel} if channel else {}
    data = body.encode() if isinstance(body, str) else body
    url = f"{hec.url}/services/collector/{path}".rstrip("/")
    answer = requests.post(url, data=data, headers=given | headers, timeout=5)
    return answer.status_code, answer.json()


def acknowledged(hec: SplunkSimulator, numbers: list[int], channel: str = CHANNEL) -> dict[str, bool]:
    _, told = post(hec, json.dumps({"acks": numbers}), "acks", f"ack?channel={channel}")
    found: dict[str, bool] = told["acks"]
    return found


def answered(code: int, **more: Any) -> tuple[int, dict[str, Any]]:
    status, text = CODES[code]
    return status, {"text": text, "code": code, **{name.replace("_", "-"): value for name, value in more.items()}}


@pytest.mark.parametrize(
    ("body", "raw"),
    [
        (GOOD + GOOD, 2),
        (f"{GOOD}\n{GOOD}\n", 2),
        (f"  {GOOD} \r\n\t {GOOD} ", 2),
        (f"[{GOOD},{GOOD}]", 2),
        ('{"event":{"a":"}{"}}{"event":[1]}', 2),
    ],
)
def test_objects_may_follow_each_other_with_and_without_white_space(hec, body, raw):
    assert post(hec, body) == answered(0)
    assert len(hec.events) == raw


def test_an_event_keeps_its_text_and_what_the_envelope_says(hec):
    told = {
        "time": 1772424000.123456,
        "host": "h",
        "source": "s",
        "sourcetype": "t",
        "index": "i",
        "fields": {"f": "1"},
    }
    post(hec, json.dumps({**told, "event": {"a": "😀", "n": 9007199254740993}}, ensure_ascii=False))
    (found,) = hec.events
    assert found.event == {"a": "😀", "n": 9007199254740993}
    assert (found.time, found.host, found.source, found.sourcetype, found.index, found.fields) == tuple(told.values())


@pytest.mark.parametrize("path", ["event", "event/1.0", ""])
def test_events_are_taken_at_each_of_their_routes(hec, path):
    assert post(hec, GOOD, path=path) == answered(0)


def test_raw_lines_become_events_and_need_a_channel(hec):
    assert post(hec, "one\ntwo\n", path="raw") == answered(10)
    assert post(hec, "one\ntwo\n", path="raw/1.0?sourcetype=t", channel=CHANNEL) == answered(0)
    assert [(each.event, each.sourcetype) for each in hec.events] == [("one", "t"), ("two", "t")]


def test_a_gzip_body_is_unpacked_and_one_that_is_none_is_no_data_format(hec):
    packed = {"Content-Encoding": "gzip"}
    assert post(hec, gzip.compress(GOOD.encode()), **packed) == answered(0)
    assert post(hec, GOOD, **packed) == answered(6)
    assert post(hec, GOOD, **{"Content-Encoding": "deflate"})[0] == 415


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 2),
        ({"Authorization": "Splunk "}, 2),
        ({"Authorization": "Bearer plain"}, 3),
        ({"Authorization": "Basic !"}, 3),
        ({"Authorization": "Splunk wrong"}, 4),
        ({"Authorization": "Splunk off"}, 1),
        ({"Authorization": "Basic " + base64.b64encode(b"x:plain").decode()}, 0),
        ({"Authorization": "splunk plain"}, 0),
    ],
)
def test_the_token_comes_in_the_header(hec, headers, code):
    assert post(hec, GOOD, token="", **headers) == answered(code)


def test_a_token_in_the_query_must_be_allowed(hec):
    assert post(hec, GOOD, token="", path="event?token=plain") == answered(16)
    hec.query_string_tokens = True
    assert post(hec, GOOD, token="", path="event?token=plain") == answered(0)


def test_a_token_that_acknowledges_wants_a_channel_that_is_a_guid(hec):
    assert post(hec, GOOD, "acks") == answered(10)
    assert post(hec, GOOD, "acks", channel="mine") == answered(11)
    assert post(hec, GOOD, "acks", channel=CHANNEL) == answered(0, ackId=0)
    assert post(hec, GOOD, "acks", path=f"event?channel={CHANNEL}") == answered(0, ackId=1)


@pytest.mark.parametrize("body", ["", " \n"])
def test_nothing_is_no_data(hec, body):
    assert post(hec, body) == answered(5)


@pytest.mark.parametrize(
    ("bad", "code", "number"),
    [('{"event":"a"', 6, 2), ("nonsense", 6, 2), ("7", 6, 2), (NONE, 12, 2), (BLANK, 13, 2), (NESTED, 15, 2)],
)
def test_events_before_a_wrong_one_are_indexed_and_none_behind_it(hec, bad, code, number):
    body = GOOD + GOOD + bad + GOOD
    assert post(hec, body) == answered(code, invalid_event_number=number)
    assert len(hec.events) == 2


def test_events_before_a_wrong_one_have_their_own_number_to_be_acknowledged_by(hec):
    _, told = post(hec, f"{GOOD}{BLANK}", "acks", channel=CHANNEL)
    assert (told["code"], told["invalid-event-number"], told["ackId"]) == (13, 1, 0)
    assert acknowledged(hec, [0]) == {"0": True}
    assert "ackId" not in post(hec, f"{BLANK}{GOOD}", "acks", channel=CHANNEL)[1]


def test_an_index_that_the_token_may_not_write_to_is_refused_with_the_number_behind(hec):
    status, told = post(hec, f"{GOOD}{ELSEWHERE}{GOOD}", "acks", channel=CHANNEL)
    assert (status, told["code"], told["invalid-event-number"]) == (400, 7, 2)
    assert len(hec.events) == 1


def test_acknowledgements_are_numbered_by_channel_and_told_once(hec):
    numbers = [post(hec, GOOD, "acks", channel=each)[1]["ackId"] for each in (CHANNEL, CHANNEL, OTHER)]
    assert numbers == [0, 1, 0]
    assert acknowledged(hec, [0, 1, 7]) == {"0": True, "1": True, "7": False}
    assert acknowledged(hec, [0, 1]) == {"0": False, "1": False}
    assert acknowledged(hec, [0, 1], OTHER) == {"0": True, "1": False}


def test_events_are_acknowledged_only_after_a_while():
    now = [100.0]
    with SplunkSimulator([Token("acks")], ack_delay=5, clock=lambda: now[0]) as hec:
        post(hec, GOOD, "acks", channel=CHANNEL)
        assert acknowledged(hec, [0]) == {"0": False}
        now[0] = 105.0
        assert acknowledged(hec, [0]) == {"0": True}


def test_a_token_without_acknowledgement_says_so(hec):
    assert post(hec, '{"acks":[0]}', "plain", "ack", CHANNEL) == answered(14)


def test_health_needs_no_token_but_not_a_wrong_one(hec):
    def health(**headers: str) -> tuple[int, dict[str, Any]]:
        answer = requests.get(f"{hec.url}/services/collector/health/1.0", headers=headers, timeout=5)
        return answer.status_code, answer.json()

    assert health() == answered(17)
    assert health(Authorization="Splunk wrong") == answered(21)
    assert health(Authorization="Splunk off") == answered(22)
    for code in (18, 19, 20):
        hec.health = code
        assert health() == answered(code)


def test_every_published_code_can_be_had_on_demand(hec):
    assert sorted(CODES) == list(range(29))
    for code in sorted(CODES):
        hec.inject("answer", code=code)
        assert post(hec, GOOD) == answered(code)
    assert len(hec.events) == 2, "codes 24 and 25 warn, and take"


def test_a_body_beyond_the_limit_is_413(hec):
    hec.max_content_length = 10
    assert post(hec, GOOD)[0] == 413
    assert post(hec, gzip.compress(GOOD.encode()), **{"Content-Encoding": "gzip"})[0] == 413
    assert hec.events == []


def test_splunk_cloud_has_words_of_its_own_for_size_and_channel(hec):
    hec.cloud = True
    large = GOOD + json.dumps({"event": "x" * (5 << 20)})
    assert post(hec, large) == answered(6, invalid_event_number=0)
    assert post(hec, GOOD, "acks") == answered(28)
    assert hec.events == []


def test_an_unknown_address_is_404_and_options_are_answered(hec):
    assert post(hec, GOOD, path="evnt")[0] == 404
    assert requests.options(f"{hec.url}/services/collector/event", timeout=5).status_code == 200


def test_faults_on_the_way_leave_what_they_say(hec):
    for kind, there in (("reset_before", 0), ("reset_after", 1)):
        hec.inject(kind)
        with pytest.raises(requests.ConnectionError):
            post(hec, GOOD)
        assert len(hec.events) == there
    hec.inject("lost")
    assert post(hec, GOOD, "acks", channel=CHANNEL) == answered(0, ackId=0)
    hec.inject("never_acknowledged")
    assert post(hec, GOOD, "acks", channel=CHANNEL) == answered(0, ackId=1)
    assert len(hec.events) == 2
    assert acknowledged(hec, [0, 1]) == {"0": False, "1": False}
