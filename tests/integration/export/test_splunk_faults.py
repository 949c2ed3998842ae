"""Whatever goes wrong on the way to Splunk: afterwards every event is there, and the newest of each is found once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from lake.base.sql import literal
from lake.export.errors import DestinationDenied, DestinationUnavailable
from orchestration.demo.simulators.splunk.index import CODES, Refused
from tests.integration.export.adapters import TOKEN, Splunk
from tests.integration.export.contract import started
from tests.integration.export.hec import ids, newest_is, once
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import EVENT, HOUR, SmallLake

ROWS = 300


@pytest.fixture
def splunk(lake: SmallLake, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Splunk]:
    lake.silver(rows=ROWS)
    with started(Splunk, lake, monkeypatch, request) as running:
        yield running


def push(splunk: Splunk, **options: Any) -> Any:
    return splunk.push(**{"batch_events": 50, **options})


def refused_rows(splunk: Splunk) -> list[tuple[str, str, str]]:
    import duckdb

    file = splunk.lake.store.url(f"refused/there/authentication/date={HOUR[:10]}/hour={HOUR[11:]}/part.parquet")
    with duckdb.connect() as con:
        return con.execute(f"select _event_id, code, said from read_parquet({literal(file)}) order by 1").fetchall()


def spoil(splunk: Splunk, monkeypatch: pytest.MonkeyPatch, numbers: set[int], code: int) -> None:
    """Let Splunk refuse some rows, wherever they stand in a body."""
    import orchestration.demo.simulators.splunk.index as index

    taken, bad = index._indexed, {f"okta_system_log:m{number}" for number in numbers}

    def indexed(told: Any, number: int, token: Any, now: float) -> Any:
        if told.fields["event_id"] in bad:
            raise Refused(code, number)
        return taken(told, number, token, now)

    monkeypatch.setattr(index, "_indexed", indexed)


@pytest.mark.parametrize("code", [9, 23, 26])
def test_a_busy_collector_is_waited_for_and_nothing_goes_twice(splunk, code):
    splunk.hec.inject("answer", code=code, times=2)
    receipt = push(splunk)
    assert receipt.matches and receipt.notes == ()
    assert once(splunk, range(ROWS))


def test_a_collector_that_stays_busy_stops_the_push_within_the_bound_and_the_next_goes_on_from_there(splunk):
    splunk.hec.inject("answer", code=9, after=3, times=None)
    with pytest.raises(DestinationUnavailable, match="code 9"):
        push(splunk, retry_seconds=0.6, connections=1)
    assert len(splunk.hec.events) == 150
    splunk.hec.heal()
    assert push(splunk).sent == 150
    assert once(splunk, range(ROWS))


def test_a_wait_that_the_server_asks_for_is_kept_to(splunk):
    splunk.hec.inject("answer", code=26, retry_after="1")
    assert push(splunk).seconds >= 0.8
    assert once(splunk, range(ROWS))


@pytest.mark.parametrize("kind", ["reset_before", "page"])
def test_a_body_that_was_not_taken_goes_again(splunk, kind):
    splunk.hec.inject(kind)
    receipt = push(splunk)
    assert receipt.matches and once(splunk, range(ROWS))
    assert "sent again because an answer was lost: bodies 1" in receipt.notes[0]


def test_after_a_lost_answer_events_are_there_twice_at_most_and_searches_find_each_once(splunk):
    splunk.hec.inject("reset_after")
    receipt = push(splunk)
    assert receipt.matches and newest_is(splunk, range(ROWS), receipt)
    counts = splunk.hec.counts()
    assert sorted(counts) == ids(range(ROWS)) and sum(counts.values()) == ROWS + 50
    assert receipt.notes == ("sent again because an answer was lost: bodies 1, whose events may be there twice",)


def test_a_server_error_of_unknown_outcome_is_told_of(splunk):
    splunk.hec.inject("answer", code=8)
    assert "sent again" in push(splunk).notes[0]
    assert once(splunk, range(ROWS))


def test_warnings_of_capacity_are_successes(splunk):
    splunk.hec.inject("answer", code=24)
    splunk.hec.inject("answer", code=25)
    assert push(splunk).matches and once(splunk, range(ROWS))


def test_acknowledgements_that_come_late_are_waited_for(splunk):
    splunk.hec.index.ack_delay = 0.7
    assert push(splunk).matches and once(splunk, range(ROWS))


@pytest.mark.parametrize("kind", ["never_acknowledged", "lost"])
def test_events_that_are_never_acknowledged_go_again_with_the_next_push_and_no_others(splunk, kind):
    splunk.hec.inject(kind, after=1)
    with pytest.raises(DestinationUnavailable, match="50 events and does not acknowledge"):
        push(splunk, acknowledge_seconds=0.8, connections=1)
    receipt = push(splunk)
    assert receipt.sent == 50 and receipt.matches and newest_is(splunk, range(ROWS), receipt)
    assert sum(splunk.hec.counts().values()) == ROWS + (50 if kind == "never_acknowledged" else 0)


def test_a_restarted_splunk_has_forgotten_its_numbers_and_what_it_did_not_acknowledge_goes_again(splunk):
    splunk.hec.index.ack_delay = 0.5
    splunk.hec.inject("restart", after=2)
    with pytest.raises(DestinationUnavailable, match=r"was restarted|not indexed yet"):
        push(splunk, connections=1)
    receipt = push(splunk)
    assert receipt.matches and newest_is(splunk, range(ROWS), receipt)


def test_questions_for_acknowledgement_may_fail_for_a_while(splunk):
    splunk.hec.inject("page", where="/services/collector/ack", after=1, status=503, times=2)
    splunk.hec.inject("answer", where="/services/collector/ack", code=9, times=1)
    assert push(splunk).matches and once(splunk, range(ROWS))


@pytest.mark.parametrize("code", [6, 15])
def test_refused_events_are_set_apart_with_splunks_own_code_and_all_others_go_once(splunk, monkeypatch, code):
    spoil(splunk, monkeypatch, {0, 99, 100, 299}, code)
    receipt = push(splunk)
    good = [number for number in range(ROWS) if number not in (0, 99, 100, 299)]
    assert once(splunk, good)
    assert receipt.matches and (receipt.rows, receipt.refused, receipt.refused_by_code) == (296, 4, {str(code): 4})
    assert [(id_, told) for id_, told, _ in refused_rows(splunk)] == [
        (each, str(code)) for each in ids([0, 99, 100, 299])
    ]


def test_refused_events_that_are_mended_go_with_the_next_push(splunk, monkeypatch):
    with monkeypatch.context() as wrong:
        spoil(splunk, wrong, {7}, 6)
        push(splunk)
    receipt = splunk.push(again=True)
    assert (receipt.sent, receipt.refused, receipt.matches) == (1, 0, True)
    assert once(splunk, range(ROWS)) and splunk.lake.store.info("refused/there") is None


def test_without_acknowledgement_the_events_before_a_refused_one_go_once_too(splunk, monkeypatch):
    splunk.hec.tokens[TOKEN].acknowledges = False
    spoil(splunk, monkeypatch, {10, 60}, 13)
    receipt = push(splunk, acknowledge=False)
    assert once(splunk, set(range(ROWS)) - {10, 60}) and receipt.matches


def test_events_before_a_refused_one_that_have_no_number_go_again_rather_than_getting_lost(splunk, monkeypatch):
    spoil(splunk, monkeypatch, {10}, 6)
    issue = splunk.hec.index._issue
    calls = []

    def silent(channel: str, now: float, ack: bool) -> int | None:
        calls.append(1)
        number = issue(channel, now, ack)
        return None if len(calls) == 1 else number

    monkeypatch.setattr(splunk.hec.index, "_issue", silent)
    receipt = push(splunk, connections=1)
    assert receipt.matches and newest_is(splunk, set(range(ROWS)) - {10}, receipt)


@pytest.mark.parametrize("cloud", [True, False])
def test_an_event_beyond_the_size_limit_is_refused_alone(splunk, cloud):
    large = EVENT.replace("'signed in as u' || n % 5", "repeat('x', case n when 7 then 6000000 else 1 end)")
    splunk.lake.silver(rows=20, columns=large)
    splunk.hec.cloud = cloud
    splunk.hec.max_content_length = 838_860_800 if cloud else 1_000_000
    receipt = push(splunk, batch_bytes=10_000_000)
    assert receipt.refused_by_code == ({"6": 1} if cloud else {"413": 1})
    assert once(splunk, set(range(20)) - {7}) and receipt.matches
    assert [id_ for id_, _, _ in refused_rows(splunk)] == ids([7])


def test_a_body_that_is_too_large_is_halved_until_it_fits(splunk):
    splunk.hec.max_content_length = 20_000
    receipt = splunk.push(batch_events=1000, batch_bytes=1_000_000)
    assert receipt.matches and receipt.refused == 0 and once(splunk, range(ROWS))


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "code 3"), (4, "code 4"), (28, "channel"), (7, "allowed indexes")],
)
def test_a_wrong_token_channel_or_index_stops_the_push_at_once(splunk, code, words):
    splunk.hec.inject("answer", code=code, times=None)
    with pytest.raises(DestinationDenied, match=words) as caught:
        push(splunk)
    assert TOKEN not in str(caught.value)
    assert splunk.hec.events == []
    splunk.hec.heal()
    assert push(splunk).matches and once(splunk, range(ROWS))


def test_an_index_that_the_token_may_not_write_to_is_no_fault_of_the_events(splunk):
    with pytest.raises(DestinationDenied, match="another `index`"):
        push(splunk, index="secret")
    assert push(splunk, index="security").matches and once(splunk, range(ROWS))


def test_a_token_that_expires_in_the_middle_leaves_what_was_acknowledged(splunk):
    splunk.hec.inject("answer", code=4, after=3, times=None)
    with pytest.raises(DestinationDenied):
        push(splunk, connections=1, unacknowledged=1)
    splunk.hec.heal()
    assert push(splunk).sent == 150 and once(splunk, range(ROWS))


def test_a_collector_that_comes_back_in_time_was_only_away(splunk):
    splunk.hec.stop()
    returning = threading.Timer(0.4, splunk.hec.start)
    returning.start()
    receipt = push(splunk, retry_seconds=10)
    returning.join()
    assert receipt.matches and receipt.notes == () and once(splunk, range(ROWS))


def test_an_answer_that_repeats_the_token_is_not_passed_on(splunk, monkeypatch):
    monkeypatch.setitem(CODES, 4, (403, f"Invalid token {TOKEN}"))
    splunk.hec.inject("answer", code=4)
    with pytest.raises(DestinationDenied, match="Invalid token …"):
        push(splunk)


def test_an_address_without_a_collector_is_told(splunk):
    with pytest.raises(DestinationDenied, match="Check `url`"):
        push(splunk, url=f"{splunk.hec.url}/elsewhere")


@pytest.mark.parametrize("kind", ["slow", "reset", "cut", "hang"])
def test_a_bad_line_between_costs_time_or_duplicates_but_no_event(splunk, kind):
    with FaultyProxy(splunk.hec.url) as proxy:
        proxy.inject(Fault(kind, "POST", "/event", after=1, times=2, seconds=0.6, at_bytes=5))
        receipt = push(splunk, url=proxy.url, timeout_seconds=0.5, retry_seconds=5)
    assert receipt.matches and newest_is(splunk, range(ROWS), receipt)


def test_what_may_be_in_splunk_is_known_also_after_a_push_that_failed(splunk):
    splunk.hec.inject("never_acknowledged", times=None)
    with pytest.raises(DestinationUnavailable):
        push(splunk, acknowledge_seconds=0.3)
    splunk.hec.heal()
    splunk.lake.silver(rows=ROWS - 10)
    receipt = push(splunk)
    assert receipt.matches and "events 0 (and 10 that were sent and not acknowledged)" in receipt.notes[1]


def test_a_change_whose_outcome_is_unknown_and_that_is_taken_back_goes_again(splunk):
    push(splunk)
    splunk.lake.silver(
        rows=ROWS,
        columns=EVENT.replace("'signed in as u' || n % 5", "case n when 7 then 'x' else 'signed in as u' || n % 5 end"),
    )
    splunk.hec.inject("never_acknowledged", times=None)
    with pytest.raises(DestinationUnavailable):
        push(splunk, acknowledge_seconds=0.3)
    splunk.hec.heal()
    assert splunk.hec.index.newest()["okta_system_log:m7"].event["message"] == "x"
    splunk.lake.silver(rows=ROWS)
    assert push(splunk).sent == 1
    assert splunk.hec.index.newest()["okta_system_log:m7"].event["message"] == "signed in as u2"


def test_bodies_that_hold_one_bad_event_are_found_with_few_requests(splunk, monkeypatch):
    spoil(splunk, monkeypatch, {25}, 6)
    push(splunk)
    assert len(splunk.posts()) == 6 + 2  # the named one alone, and those behind it
    assert Counter(each.code for each in splunk.posts()) == {0: 6, 6: 2}
