"""BigQuery that refuses, is slow, dies or loses answers: afterwards a push makes the hour equal, exactly once."""

import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from lake.export.destination import Destination, Partition
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused
from lake.storage.store import LocalStore
from orchestration.demo.simulators.bigquery.bqemulator import BigQueryEmulator
from tests.interop.export.bigquery_there import BigQueryThere
from tests.interop.export.dying import code_of, killing
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import HOUR, SmallLake, event_ids, export

pytestmark = pytest.mark.interop

UPLOAD = "^/upload/"
JOBS = r"/jobs(\?|$)"


@pytest.fixture
def proxy(bigquery_there: BigQueryThere) -> Iterator[FaultyProxy]:
    with FaultyProxy(bigquery_there.server.url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def quick(bigquery_there: BigQueryThere) -> Iterator[None]:
    yield
    bigquery_there.server.slow(0)


def answer(status: int, reason: str, words: str, where: str = "", **said: Any) -> Fault:
    """Make BigQuery answer with an error of its own."""
    error = {"code": status, "message": words, "errors": [{"reason": reason, "message": words, "domain": "global"}]}
    return Fault("error", where=where, status=status, body=json.dumps({"error": error}), **{"times": None, **said})


def job_error(reason: str, words: str, place: str = "") -> str:
    """Return a load job that ended with an error, as BigQuery tells it."""
    error = {"reason": reason, "message": words, "location": place}
    return json.dumps(
        {
            "jobReference": {"projectId": "demo", "jobId": "j1", "location": "US"},
            "configuration": {"load": {"destinationTable": {"projectId": "demo", "datasetId": "d", "tableId": "t"}}},
            "status": {"state": "DONE", "errorResult": error, "errors": [error]},
            "statistics": {},
        }
    )


def expected(lake: SmallLake) -> list[str]:
    return sorted(event_ids(lake.read(export())))


DENIED, UNAVAILABLE = DestinationDenied, DestinationUnavailable


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (answer(403, "accessDenied", "no bigquery.tables.updateData", UPLOAD), DENIED, "bigquery.tables.updateData"),
        (answer(403, "billingNotEnabled", "Billing has not been enabled"), DENIED, "billingNotEnabled"),
        (answer(403, "rateLimitExceeded", "Exceeded rate limits", UPLOAD), UNAVAILABLE, "over a quota: rateLimit"),
        (answer(400, "invalid", "Too many partitions, allowed 10000", UPLOAD), RowsRefused, "allowed 10000"),
        (Fault("hang", where=UPLOAD, seconds=30, times=None), UNAVAILABLE, "timed out"),
    ],
    ids=lambda given: getattr(given, "__name__", "") or str(getattr(given, "body", given))[:60],
)
def test_what_bigquery_says_is_passed_on_and_means_what_it_means(
    lake: SmallLake,
    bigquery_there: BigQueryThere,
    proxy: FaultyProxy,
    fault: Fault,
    kind: type[ExportError],
    words: str,
) -> None:
    lake.silver(rows=1)
    bigquery_there.server.client().create_dataset(bigquery_there.dataset)
    proxy.inject(fault)

    with pytest.raises(kind, match=words) as told:
        lake.push(bigquery_there.open(lake, proxy.url, retry_seconds=0.4, request_seconds=0.5), export())

    assert issubclass(type(told.value), kind) and "\n" not in str(told.value)
    proxy.heal()
    assert lake.push(bigquery_there.open(lake, proxy.url), export()).matches
    assert expected(lake) == bigquery_there.ids()


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        ("invalid", RowsRefused, "invalid: Parquet column 'n' has type INT64.*file.parquet.*as it was"),
        ("accessDenied", DestinationDenied, "accessDenied"),
        ("backendError", DestinationUnavailable, "backendError"),
        ("quotaExceeded", DestinationUnavailable, "quotaExceeded"),
    ],
)
def test_a_job_that_ends_badly_is_told_in_bigquerys_own_words(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy, reason: str, kind: type[ExportError], words: str
) -> None:
    lake.silver(rows=2)
    there = bigquery_there.open(lake, proxy.url, retry_seconds=1)
    lake.push(there, export())
    lake.silver(rows=3)
    body = job_error(reason, "Parquet column 'n' has type INT64", "file.parquet")
    proxy.inject(Fault("error", where=UPLOAD, status=200, body=body, times=None))

    with pytest.raises(kind, match=words):
        lake.push(there, export())

    assert 2 == len(bigquery_there.ids())


def test_a_job_that_failed_for_a_moment_goes_on_under_another_id(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=2)
    proxy.inject(Fault("error", where=UPLOAD, status=200, body=job_error("backendError", "try again"), times=1))

    receipt = lake.push(bigquery_there.open(lake, proxy.url), export())

    assert receipt.matches and receipt.remote["load"].count("-") == 3
    assert expected(lake) == bigquery_there.ids()


def test_a_load_that_the_service_refuses_leaves_the_hour_as_it_was(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=2)
    lake.push(bigquery_there.open(lake), export())
    lake.silver(rows=3)

    def change() -> None:  # somebody changes the table between the look at it and the load
        there = bigquery_there.table()
        bigquery_there.server.client().delete_table(there)
        bytes_ = bigquery.SchemaField("message", "BYTES")
        schema = [bytes_ if each.name == "message" else each for each in there.schema]
        other = bigquery.Table(bigquery_there.name(), schema=schema)
        other.time_partitioning = there.time_partitioning
        bigquery_there.server.client().create_table(other)

    proxy.inject(Fault("act", where=UPLOAD, act=change))

    with pytest.raises(RowsRefused, match="Field message has changed type"):
        lake.push(bigquery_there.open(lake, proxy.url), export())


def test_the_answer_of_a_load_that_is_lost_is_looked_for_by_its_id_and_nothing_is_loaded_twice(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    proxy.inject(Fault("lost", where=UPLOAD))

    receipt = lake.push(bigquery_there.open(lake, proxy.url), export())

    assert receipt.matches
    assert [receipt.remote["load"]] == [each.job_id for each in bigquery_there.loads()]
    assert expected(lake) == bigquery_there.ids()


def test_a_load_that_was_not_found_and_is_there_when_sent_again_is_not_sent_a_third_time(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    proxy.inject(Fault("lost", where=UPLOAD))
    proxy.inject(answer(404, "notFound", "Not found: Job", "/jobs/headwater", method="GET", times=1))

    receipt = lake.push(bigquery_there.open(lake, proxy.url), export())

    assert receipt.matches
    assert [receipt.remote["load"]] == [each.job_id for each in bigquery_there.loads()]


def test_answers_that_are_lost_once_each_are_asked_for_again_and_nothing_stands_twice(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    proxy.inject(Fault("lost", every=2, times=None))

    receipt = lake.push(bigquery_there.open(lake, proxy.url, retry_seconds=20), export())

    assert receipt.matches and 1 == len(bigquery_there.loads())
    assert expected(lake) == bigquery_there.ids()


def requests_of_a_push(lake: SmallLake, there: BigQueryThere, proxy: FaultyProxy) -> int:
    """Push into a table that is there, without faults, and count the requests."""
    lake.push(there.open(lake), export())
    lake.push(there.open(lake, proxy.url), export(), again=True)
    return len(proxy.exchanges)


@pytest.mark.storm
@pytest.mark.parametrize("way", ["lost", "reset_upload"])
def test_wherever_a_push_breaks_off_the_hour_is_as_it_was_or_as_it_should_be_and_the_next_settles_it(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy, way: Any
) -> None:
    lake.silver(rows=4)
    requests = requests_of_a_push(lake, bigquery_there, proxy)
    before = bigquery_there.ids()
    lake.silver(rows=[2, 7, 8])
    after, seen = expected(lake), set()

    for at in range(requests):
        proxy.inject(Fault(way, after=at, times=None))
        with pytest.raises(DestinationUnavailable):
            lake.push(bigquery_there.open(lake, proxy.url, retry_seconds=0.2), export(), again=True)
        proxy.heal()
        found = bigquery_there.ids()
        assert found in (before, after)
        seen.add(tuple(found))

    assert {tuple(before), tuple(after)} == seen
    assert lake.push(bigquery_there.open(lake, proxy.url), export()).matches
    assert after == bigquery_there.ids()


def test_a_job_that_a_killed_push_left_running_is_joined_by_the_next(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    lake.silver(rows=4)
    there = bigquery_there.open(lake, job_seconds=0.2)
    bigquery_there.server.slow(1)
    with pytest.raises(DestinationUnavailable, match="still runs after 0 s; the next push waits for it"):
        lake.push(there, export())

    receipt = lake.push(bigquery_there.open(lake), export())

    assert receipt.matches
    assert [receipt.remote["load"]] == [each.job_id for each in bigquery_there.loads()]


@pytest.mark.parametrize("rows", [[2, 7, 8], []])
def test_a_job_of_older_rows_that_was_left_running_does_not_come_after_the_newer(
    lake: SmallLake, bigquery_there: BigQueryThere, rows: list[int]
) -> None:
    lake.silver(rows=1)
    lake.push(bigquery_there.open(lake), export())
    bigquery_there.server.slow(1)
    lake.silver(rows=4)
    with pytest.raises(DestinationUnavailable, match="still runs"):
        lake.push(bigquery_there.open(lake, job_seconds=0.1), export())
    bigquery_there.server.slow(0)
    lake.silver(rows=rows)

    assert lake.push(bigquery_there.open(lake), export()).matches

    time.sleep(1)  # the older job would have ended by now
    assert expected(lake) == bigquery_there.ids()


def test_two_pushes_that_change_the_columns_at_once_both_succeed(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    plain = "began as time_dt, {'uid': 'm' || n} as metadata"
    lake.silver(rows=1, columns=plain)
    lake.push(bigquery_there.open(lake), export())
    lake.silver(rows=2, columns=f"{plain}, 1 as mine")
    mine = lake.read(export())
    lake.silver(rows=2, columns=f"{plain}, 1 as theirs")
    theirs, partition = lake.read(export()), Partition.of(HOUR)

    def overtake() -> None:
        bigquery_there.open(lake).push("authentication", partition, theirs)

    proxy.inject(Fault("act", method="PATCH", act=overtake))
    delivery = bigquery_there.open(lake, proxy.url).push("authentication", partition, mine)

    assert 2 == delivery.held.rows
    assert {"mine", "theirs"} <= set(bigquery_there.types())
    assert [(1, None)] * 2 == [(row["mine"], row["theirs"]) for row in bigquery_there.rows()]


def test_the_service_may_die_in_the_middle_of_a_load(lake: SmallLake) -> None:
    lake.silver(rows=4)
    with BigQueryEmulator() as dying:
        there = BigQueryThere(dying)
        dying.slow(30)
        threading.Timer(0.5, os.kill, (dying.pid, signal.SIGKILL)).start()
        with pytest.raises(DestinationUnavailable, match="does not answer"):
            lake.push(there.open(lake, retry_seconds=1), export())


def push_in_a_process(root: Path, scratch: Path, options: dict[str, Any], told: Any) -> None:
    """Push the hour of a lake, as a process of its own does."""
    lake = SmallLake(LocalStore(root), scratch)
    receipt = lake.push(lake.destination("bigquery", "google", **options), export())
    told.put((receipt.matches, receipt.held_rows))


def started(lake: SmallLake, options: dict[str, Any], told: Any) -> multiprocessing.process.BaseProcess:
    root = Path(lake.store.url(""))
    process = multiprocessing.get_context("spawn").Process(
        target=push_in_a_process, args=(root, lake.scratch, options, told)
    )
    process.start()
    return process


def test_two_pushes_of_different_lakes_at_once_leave_the_rows_of_one(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    mine = lake.read(export())
    lake.silver(rows=[2, 7, 8])
    theirs, partition = lake.read(export()), Partition.of(HOUR)
    other = bigquery_there.open(lake, proxy.url)
    other.push("authentication", partition, theirs)

    proxy.inject(Fault("act", where=UPLOAD, act=lambda: push(bigquery_there.open(lake), partition, theirs)))
    push(bigquery_there.open(lake, proxy.url), partition, mine)

    assert sorted(event_ids(mine)) == bigquery_there.ids()


def push(destination: Destination, partition: Partition, reader: Any) -> None:
    destination.push("authentication", partition, reader)


@pytest.mark.storm
def test_a_push_that_is_killed_leaves_the_hour_whole_and_the_next_makes_it_right(
    lake: SmallLake, bigquery_there: BigQueryThere, proxy: FaultyProxy
) -> None:
    lake.silver(rows=4)
    requests = requests_of_a_push(lake, bigquery_there, proxy)
    before = bigquery_there.ids()
    lake.silver(rows=[2, 7, 8])
    after = expected(lake)
    told = multiprocessing.get_context("spawn").Queue()
    bigquery_there.server.slow(0.2)

    for at in (random.randrange(requests), requests - 2):  # anywhere, and when the load is done
        process = started(lake, bigquery_there.options(proxy.url), told)
        proxy.inject(Fault("act", after=at, act=killing(process)))
        process.join(60)
        assert -signal.SIGKILL == code_of(process), f"killed at request {at} of {requests}"
        proxy.heal()
        assert ["built anew"] == [why for _, why in lake.behind(bigquery_there.open(lake, proxy.url), export())]
        assert bigquery_there.ids() in (before, after)

    assert lake.push(bigquery_there.open(lake, proxy.url), export()).matches
    assert after == bigquery_there.ids()
