"""Queues: what is announced lands once, whatever is repeated, killed or unreadable; messages go when receipts stand."""

import json
import sys
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from ingest.contracts import load_contract
from ingest.landing import land_files
from ingest.landing.queue import UnreadableRecord
from ingest.transports import bucket
from lake import ledger
from orchestration.automation.queues import queue_schedules
from orchestration.demo.simulators.s3 import S3Server
from orchestration.settings import S3Lake, open_lake
from orchestration.steps.collect import land_hour, late_objects
from tests.integration.dagster.announcing import Announcing, landed, until_received
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.integration.dagster.test_collecting_from_buckets import CONTRACT, HOUR, at


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
    done = until_received(trail, 2)
    assert (1, 1) == (done.known, landed(done.receipts))
    assert (["a", "b"], (0, 0)) == (trail.uids(), trail.waiting())


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


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
    monkeypatch.setattr("tests.integration.dagster.announcing.CONTRACT", load_contract(tmp_path / "contract.yaml"))
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
