"""A trail whose bucket announces new objects to a queue."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from ingest.landing import LandingSettings
from ingest.landing.queue import Drained, one_drainer
from lake.ledger import LandingReceipt
from orchestration.demo.simulators.s3 import S3Server
from orchestration.settings import ObjectSource, S3Access
from orchestration.steps.collect import drain_queue
from tests.integration.dagster.cloudtrail_hours import SOURCE
from tests.integration.dagster.test_collecting_from_buckets import CONTRACT, Trail


class Announcing(Trail):
    """A trail whose objects a queue announces."""

    def __init__(self, folder: Path, server: S3Server, url: str, redrive: bool = False) -> None:
        super().__init__(folder, server, url)
        self.sqs = server.client("sqs")
        attributes = {}
        if redrive:
            dead = self.sqs.create_queue(QueueName=f"dead-{self.bucket}")["QueueUrl"]
            arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            attributes = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})}
        name = self.sqs.create_queue(QueueName=self.bucket, Attributes=attributes)["QueueUrl"]
        self.queue = f"{url}/{name.split('/', 3)[3]}"
        access = S3Access(endpoint_url=url, addressing_style="path")
        self.place = ObjectSource(root=f"s3://{self.bucket}/logs", s3=access, queue=self.queue)
        self.settings = self.settings.model_copy(update={"sources": {SOURCE: self.place}})

    def announce(self, key: str, times: int = 1, name: str = "") -> None:
        head = self.client.head_object(Bucket=self.bucket, Key=key)
        made = {"key": quote_plus(key), "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
        s3 = {"bucket": {"name": name or self.bucket}, "object": made}
        record = {"eventName": "ObjectCreated:Put", "eventTime": "2026-03-02T05:07:00.000Z", "s3": s3}
        for _ in range(times):
            self.send({"Records": [record]})

    def send(self, message: Any) -> None:
        body = message if isinstance(message, str) else json.dumps(message)
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def drain(self, stalls_as: str = "stall") -> Drained:
        with one_drainer(self.store, SOURCE):
            limits = LandingSettings(threads=1, stalls_as=stalls_as)
            return drain_queue(self.settings, CONTRACT, self.place, self.store, limits)

    def waiting(self) -> tuple[int, int]:
        """Messages that can be received now, and that were received and not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return int(told[names[0]]), int(told[names[1]])


def landed(receipts: list[LandingReceipt]) -> int:
    return sum(each.landed for each in receipts)


def until_received(trail: Announcing, messages: int) -> Drained:
    """Drain until so many messages came: SQS says when it gives a message again, not the test's clock."""
    done = trail.drain()
    while done.messages < messages:
        more = trail.drain()
        done.messages += more.messages
        done.known += more.known
        done.receipts += more.receipts
    return done
