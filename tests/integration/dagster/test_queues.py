"""Queues: what is announced lands once, whatever is repeated, killed or unreadable; messages go when receipts stand."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import dagster as dg
import msgspec
import pytest

from ingest.contracts import load_contract
from ingest.landing import LandingError, LandingSettings, land_files
from ingest.landing.queue import Drained, UnreadableRecord, one_drainer
from ingest.transports import bucket
from lake import ledger
from lake.ledger import LandingReceipt
from lake.ledger.balance import balance
from orchestration.assets.bronze import bronze_asset
from orchestration.automation.queues import queue_schedules
from orchestration.demo.simulators.s3 import S3Server
from orchestration.settings import ObjectSource, S3Access, S3Lake, open_lake
from orchestration.steps.collect import AnnouncedUnreadable, drain_queue, land_hour, late_objects
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.integration.dagster.test_collecting_from_buckets import CONTRACT, HOUR, Trail, at
from tests.simulators.faulty_http import Fault, FaultyProxy


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


@pytest.fixture
def trail(tmp_path: Path, s3_server: S3Server, s3_environment: str) -> Announcing:
    return Announcing(tmp_path, s3_server, s3_environment)


def landed(receipts: list[LandingReceipt]) -> int:
    return sum(each.landed for each in receipts)


def test_what_is_announced_lands_once_and_its_messages_go(trail: Announcing) -> None:
    trail.announce(trail.deliver(at(5), "a", "b"), times=3)
    trail.announce(trail.deliver(at(6), "c+ d"))
    trail.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": trail.bucket})
    done = trail.drain()
    assert (5, 1, 3) == (done.messages, len(done.receipts), landed(done.receipts))
    assert (0, 0) == trail.waiting()
    trail.announce(done.receipts[0].objects[0].name.split("/", 3)[3], times=2)  # redelivered much later
    again = trail.drain()
    assert (2, 1, []) == (again.messages, again.known, again.receipts)
    assert ["a", "b", "c+ d"] == trail.uids()


@pytest.fixture
def denying(tmp_path: Path, s3_server: S3Server, s3_environment: str) -> Iterator[tuple[Announcing, FaultyProxy, str]]:
    """Three objects are announced, of which one may not be read; the way to it, and its name."""
    with FaultyProxy(s3_server.url) as proxy:
        trail = Announcing(tmp_path, s3_server, proxy.url)
        keys = [trail.deliver(at(minute), uid) for minute, uid in ((5, "a"), (6, "secret"), (7, "c"))]
        for key in keys:
            trail.announce(key)
        proxy.inject(Fault("error", "GET", "_secret", status=403, code="AccessDenied", times=None))
        yield trail, proxy, f"s3://{trail.bucket}/{keys[1]}"


def test_an_object_that_is_denied_holds_up_no_other_and_lands_when_it_may(
    denying: tuple[Announcing, FaultyProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, proxy, name = denying
    monkeypatch.setattr("ingest.transports.queue.HIDDEN_SECONDS", 1)
    done = trail.drain()
    assert (["a", "c"], [name]) == (trail.uids(), list(done.refused))
    assert f"s3:GetObject on {name} was denied (AccessDenied): allow the permission s3:GetObject" in done.notes()[-1]
    ((told, _),) = done.receipts[0].unreadable
    assert (name, 1) == (told, sum(trail.waiting()))
    again = _until_received(trail, 1)  # the queue gives it again: no batch for nothing
    assert ([], [name], 1) == (again.receipts, list(again.refused), len(list(ledger.landings(trail.store))))
    assert "are in no batch" in balance(trail.store).total.why
    proxy.heal()
    trail.announce(trail.deliver(at(8), "d"))
    _until_received(trail, 2)
    assert (["a", "c", "d", "secret"], (0, 0)) == (trail.uids(), trail.waiting())
    assert "are in no batch" not in balance(trail.store).total.why


def test_the_hour_lands_and_says_which_announced_object_is_denied(
    denying: tuple[Announcing, FaultyProxy, str],
) -> None:
    trail, proxy, name = denying
    trail.deliver(at(9), "never announced")
    with pytest.raises(AnnouncedUnreadable, match=f"batch 20260302T05 has landed, but .*{name}"):
        trail.land()
    assert (["a", "c", "never announced"], (0, 1)) == (trail.uids(), trail.waiting())
    receipt = ledger.landing(trail.store, SOURCE, "20260302T05")
    assert receipt and [name] == [each for each, _ in receipt.unreadable]
    proxy.heal()
    assert 2 == trail.land().landed  # the listing finds it before its message comes again
    assert ["a", "c", "never announced", "secret"] == trail.uids()


def test_dagster_fails_the_drain_of_a_denied_object_and_lands_the_others(
    denying: tuple[Announcing, FaultyProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, _, name = denying
    monkeypatch.setattr("orchestration.automation.queues.load_settings", lambda: trail.settings)
    job = queue_schedules(trail.settings, [CONTRACT]).resolve_job_def("drain_aws_cloudtrail")
    with pytest.raises(LandingError, match=f"1 announced objects could not be read.*{name}"):
        job.execute_in_process()
    assert (["a", "c"], (0, 1)) == (trail.uids(), trail.waiting())


def test_dagster_fails_the_hour_of_a_denied_object_and_keeps_what_landed(
    denying: tuple[Announcing, FaultyProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, proxy, name = denying
    monkeypatch.setattr("orchestration.assets.bronze.load_settings", lambda: trail.settings)
    hours = dg.HourlyPartitionsDefinition(start_date="2026-03-02-00:00")
    asset, key = bronze_asset(CONTRACT, hours), "2026-03-02-05:00"
    trail.deliver(at(9), "never announced")
    with dg.DagsterInstance.ephemeral() as instance:
        for announced in (True, False):  # then its message is hidden, and the listing alone meets it
            ran = dg.materialize([asset], partition_key=key, instance=instance, raise_on_error=False)
            assert not ran.success, announced
            said = "".join(str(event.event_specific_data) for event in ran.all_events)
            assert name in said and "could not be read" in said
            landed = instance.get_materialized_partitions(asset.key)
            assert {key} == landed
        proxy.heal()
        assert dg.materialize([asset], partition_key=key, instance=instance).success
    assert ["a", "c", "never announced", "secret"] == trail.uids()


def test_a_queue_of_nothing_but_denied_objects_is_not_asked_for_ever(
    tmp_path: Path, s3_server: S3Server, s3_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.landing.queue.MESSAGES", 2)
    with FaultyProxy(s3_server.url) as proxy:
        trail = Announcing(tmp_path, s3_server, proxy.url)
        for minute in range(30):
            trail.announce(trail.deliver(at(minute), f"a{minute}"))
        proxy.inject(Fault("error", "GET", "_CloudTrail_", status=403, code="AccessDenied", times=None))
        done = trail.drain()
        assert ([], True) == (done.receipts, 2 <= len(done.refused) < 30)
        assert 30 == sum(trail.waiting())
        assert [] == list(ledger.landings(trail.store))
        proxy.heal()
        assert 28 >= landed(trail.drain().receipts) > 0


def test_a_message_of_many_objects_stays_while_one_of_them_is_denied(
    denying: tuple[Announcing, FaultyProxy, str],
) -> None:
    trail, proxy, name = denying
    keys = [name.split("/", 3)[3], trail.deliver(at(10), "e")]
    made = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": trail.bucket}, "object": {"key": key}}}
        for key in keys
    ]
    trail.send({"Records": made})
    proxy.inject(Fault("error", "HEAD", "_secret", status=403, code="AccessDenied", times=None))
    done = trail.drain()
    assert (["a", "c", "e"], [name], (0, 2)) == (trail.uids(), list(done.refused), trail.waiting())


def test_killed_between_receipt_and_deletion_nothing_lands_twice(
    trail: Announcing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.transports.queue.HIDDEN_SECONDS", 1)
    trail.announce(trail.deliver(at(5), "a"))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("ingest.transports.queue.Queue.delete", _killed)
        trail.drain()
    before = list(ledger.landings(trail.store))
    assert [1] == [each.landed for each in before]
    trail.announce(trail.deliver(at(6), "b"))
    done = _until_received(trail, 2)
    assert (1, 1) == (done.known, landed(done.receipts))
    assert (["a", "b"], (0, 0)) == (trail.uids(), trail.waiting())


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _until_received(trail: Announcing, messages: int) -> Drained:
    """Drain until so many messages came: SQS says when it gives a message again, not the test's clock."""
    done = trail.drain()
    while done.messages < messages:
        more = trail.drain()
        done.messages += more.messages
        done.known += more.known
        done.receipts += more.receipts
    return done


def test_the_hour_drains_the_queue_and_takes_in_what_was_never_announced(trail: Announcing) -> None:
    trail.announce(trail.deliver(at(5), "a"))
    trail.deliver(at(6), "never announced")
    receipt = trail.land()
    assert ("20260302T05", 1) == (receipt.batch, receipt.landed)
    (queued,) = [each for each in ledger.landings(trail.store) if each.batch != receipt.batch]
    assert [f"the queue gave 1 messages; they became {queued.batch}"] == list(receipt.notes)
    assert (["a", "never announced"], 2) == (trail.uids(), receipt.landed + queued.landed)
    assert 1 == trail.land().landed  # the hour again is the hour as it was
    trail.announce(receipt.objects[0].name.split("/", 3)[3])  # announced after all
    assert (1, []) == (trail.drain().known, trail.drain().receipts)
    assert {} == late_objects(trail.settings, CONTRACT).hours


def test_what_was_landed_by_hand_is_not_read_again_when_it_is_announced(trail: Announcing) -> None:
    key = trail.deliver(at(5), "a")
    land_files(
        CONTRACT, bucket.list_objects(CONTRACT, [f"s3://{trail.bucket}/{key}"], trail.access).objects, trail.store
    )
    trail.announce(key)
    assert (1, []) == ((done := trail.drain()).known, done.receipts)


def test_an_unreadable_message_is_kept_whole_and_deleted_where_nobody_else_would_look(trail: Announcing) -> None:
    trail.announce(trail.deliver(at(5), "a"))
    trail.send("no notification")
    done = trail.drain()
    (key,) = done.unreadable
    record = msgspec.json.decode(trail.store.read(key), type=UnreadableRecord)
    assert ("no notification", trail.queue) == (record.body, record.queue)
    assert "not JSON" in record.why
    assert any("1 messages of the queue are no notifications; they are kept whole" in note for note in done.notes())
    assert (1, (0, 0)) == (landed(done.receipts), trail.waiting())


def test_an_unreadable_message_is_left_to_the_dead_letter_queue(
    tmp_path: Path, s3_server: S3Server, s3_environment: str
) -> None:
    trail = Announcing(tmp_path, s3_server, s3_environment, redrive=True)
    trail.send("no notification")
    assert 1 == len(trail.drain().unreadable)
    assert (0, 1) == trail.waiting()


def test_objects_of_another_source_are_left_in_the_queue_and_digests_are_passed_over(trail: Announcing) -> None:
    key = trail.deliver(at(5), "a")
    trail.announce(key, name="another-bucket")
    flow = "logs/AWSLogs/100200300401/vpcflowlogs/eu-west-1/2026/03/02/100200300401_vpcflowlogs_x.log.gz"
    digest = key.replace("CloudTrail", "CloudTrail-Digest")
    for each in (flow, digest):
        trail.client.put_object(Bucket=trail.bucket, Key=each, Body=b"x")
        trail.announce(each)
    done = trail.drain()
    assert ([], 2, 1) == (done.receipts, len(done.foreign), done.passed_over)
    assert (0, 2) == trail.waiting()
    assert any("Give each source a queue of its own" in note for note in done.notes())


def test_what_firehose_puts_right_below_the_root_is_of_the_source(trail: Announcing) -> None:
    name = "trail-1-2026-03-02-05-04-03-0d0b8e0c-1111-2222-3333-444455556666"
    for folder in ("logs/", "logs/waf/"):
        key = f"{folder}2026/03/02/05/{name}"
        event = {"version": "0", "id": "e", "detail-type": "AWS API Call via CloudTrail"}
        body = json.dumps({**event, "detail": call("a", "2026-03-02T05:01:00Z")}).encode()
        trail.client.put_object(Bucket=trail.bucket, Key=key, Body=body)
        trail.announce(key)
    done = trail.drain()
    assert (["a"], 1) == (trail.uids(), len(done.foreign))


def test_an_object_that_is_gone_when_its_message_comes_is_reported(trail: Announcing) -> None:
    key = trail.deliver(at(5), "a")
    trail.announce(key)
    trail.client.delete_object(Bucket=trail.bucket, Key=key)
    (receipt,) = trail.drain().receipts
    ((name, why),) = receipt.ignored
    assert (0, f"s3://{trail.bucket}/{key}") == (receipt.read, name)
    assert "deleted after it was listed" in why
    assert (0, 0) == trail.waiting()


def test_a_batch_of_crowdstrike_is_asked_for_what_its_message_does_not_tell(trail: Announcing, tmp_path: Path) -> None:
    import ingest.landing.queue as draining
    from ingest.transports.queue import Queue

    text = (Path(bucket.__file__).parents[1] / "sources" / SOURCE / "contract.yaml").read_text()
    contract_file = tmp_path / "contract.yaml"
    contract_file.write_text(
        text.replace(
            "customProperties:\n", "customProperties:\n  - {property: notifications, value: crowdstrike_fdr}\n", 1
        )
    )
    key = trail.deliver(at(5), "a")
    trail.send({"timestamp": 1772427967000, "bucket": trail.bucket, "files": [{"path": key, "size": 1}]})
    contract = load_contract(contract_file)
    done = draining.drain(contract, Queue(trail.queue, trail.access), trail.place.root, trail.access, trail.store)
    listed = bucket.list_objects(CONTRACT, [f"s3://{trail.bucket}/logs"], trail.access, HOUR).objects
    assert [each.fingerprint for each in listed] == [mark.fingerprint for mark in done.receipts[0].objects]


def test_the_newest_hour_of_a_queue_alone_is_the_hour_that_was_drained(trail: Announcing) -> None:
    trail.announce(trail.deliver(at(5), "a"))
    place = trail.place.model_copy(update={"root": None})
    settings = trail.settings.model_copy(update={"sources": {SOURCE: place}})
    receipt = land_hour(settings, CONTRACT, datetime(2026, 3, 2, 6))
    assert (0, "published", ["a"]) == (receipt.read, receipt.status, trail.uids())


def test_a_stalled_batch_of_the_queue_waits_for_a_decision_and_is_then_landed(
    trail: Announcing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(bucket.__file__).parents[1] / "sources" / SOURCE / "contract.yaml").read_text()
    stalling = "{name: eventName, customProperties: [{property: onViolation, value: stall}], logicalType: string,"
    assert "{name: eventName, logicalType: string," in text
    (tmp_path / "contract.yaml").write_text(text.replace("{name: eventName, logicalType: string,", stalling))
    monkeypatch.setattr("tests.integration.dagster.test_queues.CONTRACT", load_contract(tmp_path / "contract.yaml"))
    monkeypatch.setattr("tests.integration.dagster.test_collecting_from_buckets.call", _wrongly_named)
    trail.announce(trail.deliver(at(5), "a"))
    (stalled,) = trail.drain().receipts
    assert ("stalled", (0, 0), []) == (stalled.status, trail.waiting(), trail.uids())
    assert 0 == land_hour(trail.settings, CONTRACT, HOUR).read  # its object is not taken by the hour meanwhile
    (decided,) = trail.drain("null").receipts
    assert (stalled.batch, "published", ["a"]) == (decided.batch, decided.status, trail.uids())


def _wrongly_named(uid: str, event_at: str) -> dict[str, object]:
    return {**call(uid, event_at), "eventName": 7}


def test_dagster_drains_a_queue_between_the_hours(trail: Announcing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.automation.queues.load_settings", lambda: trail.settings)
    trail.announce(trail.deliver(at(5), "a"))
    made = queue_schedules(trail.settings, [CONTRACT])
    (schedule,) = made.schedules or ()
    assert ("drain_aws_cloudtrail_often", "*/5 * * * *") == (schedule.name, schedule.cron_schedule)
    job = made.resolve_job_def("drain_aws_cloudtrail")
    assert {"land_aws"} == job.get_node_named("drain_aws_cloudtrail").definition.pools  # type: ignore[attr-defined]
    assert job.execute_in_process().success
    assert (["a"], (0, 0)) == (trail.uids(), trail.waiting())
    assert not queue_schedules(trail.settings.model_copy(update={"sources": {}}), [CONTRACT]).jobs


def test_bucket_and_queue_land_in_a_lake_in_a_bucket_too(
    trail: Announcing, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = S3Lake(addressing_style="path")
    lake = {"lake": f"s3://{s3_server.bucket()}/lake", "scratch": tmp_path / "scratch", "s3": s3}
    settings = trail.settings.model_copy(update=lake)
    trail.announce(trail.deliver(at(5), "a", "b"))
    trail.deliver(at(6), "c")
    for _ in range(2):
        receipt = land_hour(settings, CONTRACT, HOUR)
        assert ("published", 1) == (receipt.status, receipt.landed)
    found = list(ledger.landings(open_lake(settings), SOURCE))
    assert (3, 2) == (landed(found), len(found))
    assert (0, 0) == trail.waiting()


def test_a_large_set_becomes_several_batches(trail: Announcing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["ingest.landing.land"], "BATCH_BYTES", 1)
    for minute in (5, 6):
        trail.announce(trail.deliver(at(minute), f"a{minute}"))
    gone = trail.deliver(at(7), "gone")
    trail.announce(gone)
    trail.client.delete_object(Bucket=trail.bucket, Key=gone)
    done = trail.drain()
    assert (3, 2) == (len({each.batch for each in done.receipts}), landed(done.receipts))
    assert (["a5", "a6"], (0, 0)) == (trail.uids(), trail.waiting())
