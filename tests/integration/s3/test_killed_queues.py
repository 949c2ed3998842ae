"""`kill -9` of `headwater land --queue` at requests of the whole way: nothing is lost, nothing lands twice.

A point is a request to SQS, or one that changes the lake's bucket, right before it is sent or after it was answered.
Each point has a lake and a queue of its own; every third is killed again while it takes in what the first one left. The
points are spread over all requests that a run makes. In a storm there are more.
"""

import gzip
import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake import ledger
from lake.storage.store import LocalStore
from orchestration.demo.simulators import s3
from tests.crash.zygote import Ended, Zygote
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.integration.s3.lakes import Lake

OBJECTS = 3
SEND = 2  # times that an object is announced
HIDDEN_SECONDS = 5  # what SQS is asked for; a killed run's messages come back then
DONE = 60.0  # seconds after which a queue that is not empty never will be
PATCHED = {
    "ingest.transports.queue.HIDDEN_SECONDS": HIDDEN_SECONDS,
    "ingest.transports.queue._WAIT_SECONDS": 0,
    "ingest.landing.land.BATCH_BYTES": 1,  # a batch for each object, so that there is something between receipts
}


@dataclass
class Announced:
    """A lake in a bucket and a queue that announces objects of another bucket, some of them more than once."""

    zygote: Zygote
    lake: Lake
    sqs: Any
    queue: str
    environment: dict[str, str]

    def drain(self, **point: Any) -> Ended:
        """Run the command, killed at a point or not."""
        words = ["land", SOURCE, "--queue"]
        none = Path(os.devnull)
        return self.zygote.run(self.lake.url, words, none, environment=self.environment, patched=PATCHED, **point)

    def undeleted(self) -> int:
        """Return how many messages the queue has, hidden or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def held(self) -> list[str]:
        """Return the objects that receipts hold, each as often as it is held."""
        receipts = ledger.landings(LocalStore(self.lake.copy()), SOURCE)
        return sorted(mark.name.rsplit("_", 1)[-1] for receipt in receipts for mark in receipt.objects)

    def check_nothing_lost(self) -> None:
        """What no receipt holds is still announced: every message is there until all have landed."""
        if self.undeleted() < OBJECTS * SEND + 1:
            assert self.held() == [f"{n}.json.gz" for n in range(OBJECTS)]

    def rows(self) -> list[tuple[str, int]]:
        """Return event ids and how many rows of bronze each has."""
        files = [str(path) for path in sorted((self.lake.copy() / "bronze").rglob("*.parquet"))]
        query = "select eventID, count(*) from read_parquet(?, hive_partitioning = false) group by all order by all"
        return duckdb.execute(query, [files]).fetchall()


def announced(zygote: Zygote, server: s3.S3Server, bucket: str, name: str, scratch: Path) -> Announced:
    """Make a lake and a queue; the objects of the bucket are announced, and something that is no notification."""
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=f"{bucket}-{name}")["QueueUrl"]
    queue = f"{server.url}/{url.split('/', 3)[3]}"
    for key in s3.keys(server.client(), bucket, "logs/"):
        made = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
        for _ in range(SEND):
            sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [made]}))
    sqs.send_message(QueueUrl=queue, MessageBody="no notification")
    prefix = f"HEADWATER_SOURCES__{SOURCE.upper()}__"
    places = {f"{prefix}ROOT": f"s3://{bucket}/logs", f"{prefix}QUEUE": queue, "HEADWATER_THREADS": "1"}
    environment = s3.environment(server.url) | places | {"HEADWATER_SCRATCH": str(scratch / name)}
    lake = Lake(server.client(), bucket, f"lake-{name}", scratch / f"seen-{name}")
    return Announced(zygote, lake, sqs, queue, environment)


@pytest.fixture
def bucket(s3_server: s3.S3Server) -> str:
    """A bucket of three objects with two events each."""
    name = s3_server.bucket()
    for n in range(OBJECTS):
        records = [call(f"{n}-{each}", f"2026-03-02T0{n}:01:00Z") for each in "ab"]
        key = f"100200300401_CloudTrail_eu-west-1_20260302T0{n}05Z_{n}.json.gz"
        body = gzip.compress(json.dumps({"Records": records}).encode(), mtime=0)
        s3_server.client().put_object(
            Bucket=name, Key=f"logs/AWSLogs/100200300401/CloudTrail/eu-west-1/2026/03/02/{key}", Body=body
        )
    return name


def test_killed_while_it_takes_in_a_queue_nothing_is_lost_and_nothing_lands_twice(
    storm: bool, zygote: Zygote, s3_server: s3.S3Server, bucket: str, tmp_path: Path
) -> None:
    points = 12 if storm else 3
    whole = announced(zygote, s3_server, bucket, "whole", tmp_path)
    ended = whole.drain()
    assert (0, 0) == (ended.code, whole.undeleted()), ended.said
    assert [(f"{n}-{each}", 1) for n in range(OBJECTS) for each in "ab"] == (expected := whole.rows())
    killed = [announced(zygote, s3_server, bucket, str(number), tmp_path) for number in range(points)]
    died = 0
    for turn in range(2):
        for number, each in enumerate(killed[:: 1 + 2 * turn]):
            act = 1 + number * ended.acts // points if turn == 0 else random.randint(1, ended.acts)
            found = each.drain(act=act, answered=(number + turn) % 2 == 0)
            assert found.code in (0, -9), found.said
            died += found.code == -9
            each.check_nothing_lost()
    assert died >= points, "too few were killed: this test proves nothing"
    for each in killed:
        until = time.monotonic() + DONE
        while each.undeleted():
            found = each.drain()
            assert found.code == 0, found.said
            assert time.monotonic() < until, "messages are left"
        assert expected == each.rows()
        assert [f"{n}.json.gz" for n in range(OBJECTS)] == each.held()
        state = each.lake.state()
        assert ([], []) == (state.unnamed, state.leftovers)
        assert (each.lake.copy() / "ledger" / "messages" / SOURCE).is_dir(), "what is no notification is kept"
