"""Snowflake that refuses, is slow, dies or loses answers: afterwards a push makes the hour equal, exactly once."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lake.export.destination import Destination, Partition
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused
from lake.ledger.export_receipts import ExportReceipt
from lake.storage.store import LocalStore
from tests.integration.export.warm import Warm, WarmProcess
from tests.interop.export.dying import code_of, killing
from tests.interop.export.snowflake_there import PASSWORD, SnowflakeThere
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import HOUR, SmallLake, event_ids, export

pytestmark = pytest.mark.interop

QUERY = "query-request"
ANY = "query-request|login-request|fs_bucket|session"


@pytest.fixture
def proxy(snowflake_there: SnowflakeThere) -> Iterator[FaultyProxy]:
    with FaultyProxy(snowflake_there.server.url) as proxy:
        yield proxy


def through(proxy: FaultyProxy, there: SnowflakeThere, lake: SmallLake, **said: Any) -> Destination:
    return there.open(lake, port=int(proxy.url.rpartition(":")[2]), **said)


def answer(code: str, words: str, status: int = 200, where: str = QUERY) -> Fault:
    """Make Snowflake answer with an error of its own."""
    body = {"data": {"errorCode": code, "sqlState": "42501"}, "code": code, "message": words, "success": False}
    return Fault("error", where=where, status=status, body=json.dumps(body), times=None)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (answer("390144", "JWT token is invalid.", where="login"), DestinationDenied, "JWT token is invalid"),
        (Fault("error", where="login", status=403, times=None), DestinationDenied, "check `account` and `host`"),
        (Fault("error", where=QUERY, status=429, times=None), DestinationUnavailable, "429"),
        (Fault("hang", where=QUERY, seconds=9, times=None), DestinationUnavailable, "timed out"),
        (Fault("error", where="fs_bucket", status=503, times=None), DestinationUnavailable, "uploading: .*503"),
        (answer("000606", "No active warehouse selected."), DestinationDenied, "name a `warehouse`"),
    ],
    ids=lambda given: getattr(given, "__name__", "") or str(getattr(given, "kind", given)),
)
def test_what_snowflake_says_is_passed_on_and_means_what_it_means(
    lake: SmallLake,
    snowflake_there: SnowflakeThere,
    proxy: FaultyProxy,
    fault: Fault,
    kind: type[ExportError],
    words: str,
) -> None:
    lake.silver(rows=1)
    proxy.inject(fault)

    with pytest.raises(kind, match=words) as told:
        lake.push(through(proxy, snowflake_there, lake, attempts=1, timeout_seconds=2), export())

    assert type(told.value) is kind
    assert "\n" not in str(told.value) and PASSWORD not in repr(told.value)


def test_rows_that_a_load_refuses_change_nothing(
    lake: SmallLake, snowflake_there: SnowflakeThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=2)
    there = through(proxy, snowflake_there, lake)
    lake.push(there, export())
    lake.silver(rows=3)
    fault = proxy.inject(answer("100069", "Error parsing JSON: unknown keyword."))
    fault.after = 4  # describe, create twice, put; then the load

    with pytest.raises(RowsRefused, match=r"100069: Error parsing JSON.*nothing of the hour was changed"):
        lake.push(there, export())

    assert 2 == len(snowflake_there.ids())


def requests_of_a_push(lake: SmallLake, there: SnowflakeThere, proxy: FaultyProxy, hour: str = HOUR) -> int:
    """Push into a table that is there, without faults, and count the requests from the login to the last statement."""
    lake.push(there.open(lake), export(), hour)
    assert lake.push(through(proxy, there, lake), export(), hour, again=True).matches
    targets = [each.target for each in proxy.exchanges if "telemetry" not in each.target]
    return sum("delete=true" not in target for target in targets)


# Counted from the last request, which counts the hour: 2 is COMMIT, 3 INSERT, 4 DELETE, 7 COPY, 8 the upload.
@pytest.mark.storm
@pytest.mark.parametrize(("way", "places"), [("lost", (8, 6, 4, 2)), ("reset_upload", (7, 3, 2))])
def test_wherever_a_push_breaks_off_the_hour_is_as_it_was_or_as_it_should_be_and_the_next_settles_it(
    lake: SmallLake, snowflake_there: SnowflakeThere, proxy: FaultyProxy, way: Any, places: tuple[int, ...]
) -> None:
    lake.silver(rows=4)
    requests = requests_of_a_push(lake, snowflake_there, proxy)
    before = snowflake_there.ids()
    lake.silver(rows=[2, 7, 8])
    after = sorted(event_ids(lake.read(export())))
    seen = set()

    for place in places:
        proxy.inject(Fault(way, where=ANY, after=requests - place, times=None))
        with pytest.raises(DestinationUnavailable):
            lake.push(through(proxy, snowflake_there, lake, attempts=1), export(), again=True)
        proxy.heal()
        snowflake_there.server.end_sessions()
        found = snowflake_there.ids()
        assert found in (before, after)
        seen.add(tuple(found))

    assert (tuple(before) in seen, tuple(after) in seen) == (True, way == "lost")
    assert lake.push(through(proxy, snowflake_there, lake), export()).matches
    assert after == snowflake_there.ids()


def test_answers_that_are_lost_once_each_are_asked_for_again_and_nothing_stands_twice(
    lake: SmallLake, snowflake_there: SnowflakeThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    proxy.inject(Fault("lost", where=ANY, every=3, times=None))

    receipt = lake.push(through(proxy, snowflake_there, lake), export())

    assert receipt.matches
    assert sorted(event_ids(lake.read(export()))) == snowflake_there.ids()


def test_two_pushes_that_both_found_an_empty_hour_leave_its_rows_once(
    lake: SmallLake, snowflake_there: SnowflakeThere, proxy: FaultyProxy
) -> None:
    lake.silver("2026-03-02T05", rows=1)
    requests = requests_of_a_push(lake, snowflake_there, proxy, "2026-03-02T05")
    lake.silver(rows=4)
    reader, other = lake.read(export()), snowflake_there.open(lake)
    partition, told = Partition.of(HOUR), []

    def overtake() -> None:
        told.append(other.push("authentication", partition, reader).held)

    proxy.inject(Fault("act", where=ANY, after=requests - 2, act=overtake))  # before the COMMIT

    delivery = through(proxy, snowflake_there, lake).push("authentication", partition, reader)

    assert told == [delivery.held]
    assert (reader.rows, reader.checksum) == (delivery.held.rows, delivery.held.checksum)
    assert sorted(event_ids(reader)) == snowflake_there.ids()


def push_in_a_process(root: Path, scratch: Path, options: dict[str, Any], told: Any) -> None:
    """Push the hour of a lake, as a process of its own does."""
    lake = SmallLake(LocalStore(root), scratch)
    receipt: ExportReceipt = lake.push(lake.destination("snowflake", "warehouse", **options), export())
    told.put((os.getpid(), receipt.matches, receipt.held_rows))


def started(lake: SmallLake, options: dict[str, Any], told: Any) -> multiprocessing.process.BaseProcess:
    root = Path(lake.store.url(""))
    process = multiprocessing.get_context("spawn").Process(
        target=push_in_a_process, args=(root, lake.scratch, options, told)
    )
    process.start()
    return process


@pytest.mark.storm
def test_a_push_that_is_killed_leaves_the_hour_whole_and_the_next_makes_it_right(
    lake: SmallLake, snowflake_there: SnowflakeThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    requests = requests_of_a_push(lake, snowflake_there, proxy)
    before = snowflake_there.ids()
    lake.silver(rows=[2, 7, 8])
    options = snowflake_there.options(port=int(proxy.url.rpartition(":")[2]))
    told = multiprocessing.get_context("spawn").Queue()

    for place in (8, 2):  # at the upload, before COMMIT
        process = started(lake, options, told)
        proxy.inject(Fault("act", where=ANY, after=requests - place, act=killing(process)))
        process.join(60)
        assert -signal.SIGKILL == code_of(process)
        proxy.heal()
        snowflake_there.server.end_sessions()
        assert ["built anew"] == [why for _, why in lake.behind(snowflake_there.open(lake), export())]

    after = sorted(event_ids(lake.read(export())))
    assert snowflake_there.ids() in (before, after)
    assert lake.push(through(proxy, snowflake_there, lake), export()).matches
    assert after == snowflake_there.ids()
    assert ["AUTHENTICATION"] == [row[1] for row in snowflake_there.ask("show tables")]


@pytest.mark.storm
def test_a_push_that_is_killed_at_any_moment_is_made_right_by_the_next(
    lake: SmallLake, snowflake_there: SnowflakeThere, warm: WarmProcess
) -> None:
    began = time.monotonic()
    lake.silver(rows=4)
    lake.push(snowflake_there.open(lake), export())
    took, chance = time.monotonic() - began, random.Random(20260302)
    ended = []
    pushing = Warm(warm, lake, "snowflake", snowflake_there.options())
    for number in range(5):
        before = snowflake_there.ids()
        lake.silver(rows=[number, 7, 8 + number])
        ended.append(pushing.push(HOUR, seconds=chance.uniform(0.1, took)).code)
        snowflake_there.server.end_sessions()
        after = sorted(event_ids(lake.read(export())))
        assert snowflake_there.ids() in (before, after)
        assert lake.push(snowflake_there.open(lake), export()).matches
        assert after == snowflake_there.ids()
    assert -signal.SIGKILL in ended, "no push was killed: this test proves nothing"
    assert ["AUTHENTICATION"] == [row[1] for row in snowflake_there.ask("show tables")]
