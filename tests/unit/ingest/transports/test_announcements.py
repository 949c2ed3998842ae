"""What messages announce: three shapes of S3's events, CrowdStrike's batches, and what is neither."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.transports.queue import Announced, UnreadableMessage, announced


def s3_event(key: str = "logs/a+b%3D1.json.gz", name: str = "ObjectCreated:Put") -> dict[str, Any]:
    made = {"key": key, "size": 20, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0A1B2C3D4E5F678901"}
    event = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-03-02T05:06:07.000Z", "eventName": name}
    return {"Records": [{**event, "s3": {"bucket": {"name": "trail"}, "object": made}}]}


def sns(message: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": json.dumps(message)}


EVENT_BRIDGE = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "time": "2026-03-02T05:06:07Z",
    "detail": {
        "bucket": {"name": "trail"},
        "object": {
            "key": "logs/a b=1.json.gz",
            "size": 20,
            "etag": "d41d8cd98f00b204e9800998ecf8427e",
            "sequencer": "0A1B2C3D4E5F678901",
        },
    },
}
FDR = {
    "cid": "0123456789abcdef0123456789abcdef",
    "timestamp": 1772427967000,
    "fileCount": 2,
    "totalSize": 50,
    "bucket": "cs-prod",
    "pathPrefix": "data/f0714ca5",
    "files": [
        {"path": "data/f0714ca5/part-00000.gz", "size": 20, "checksum": "x"},
        {"path": "data/f0714ca5/part-00001.gz", "size": 30, "checksum": "y"},
    ],
}


@pytest.mark.parametrize(
    "message",
    [
        s3_event(),
        s3_event(name="s3:ObjectCreated:CompleteMultipartUpload"),
        sns(s3_event()),
        sns(EVENT_BRIDGE),
        EVENT_BRIDGE,
    ],
    ids=["plain", "of a compatible store", "inside SNS", "EventBridge inside SNS", "EventBridge"],
)
def test_every_shape_of_an_s3_event_announces_the_same_object(message: dict[str, Any]) -> None:
    (found,) = announced(json.dumps(message), "s3_event")
    assert ("trail", "logs/a b=1.json.gz", 20) == (found.bucket, found.key, found.size)
    assert ("d41d8cd98f00b204e9800998ecf8427e", datetime(2026, 3, 2, 5, 6, 7, tzinfo=UTC)) == (
        found.etag,
        found.made_at,
    )


@pytest.mark.parametrize(
    "message",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "trail"},
        s3_event(name="ObjectRemoved:Delete"),
        {**EVENT_BRIDGE, "detail-type": "Object Deleted"},
        {"Records": []},
    ],
    ids=["test", "removed", "deleted by EventBridge", "nothing"],
)
def test_tests_and_deletions_announce_nothing(message: dict[str, Any]) -> None:
    assert [] == announced(json.dumps(message), "s3_event")


def test_of_two_announcements_of_one_key_the_later_one_sorts_last() -> None:
    early, late = s3_event(), s3_event()
    early["Records"][0]["s3"]["object"]["sequencer"] = "FF"
    late["Records"][0]["s3"]["object"]["sequencer"] = "0A1B"
    (first,), (second,) = (announced(json.dumps(each), "s3_event") for each in (early, late))
    assert first.order < second.order


def test_a_batch_of_crowdstrike_announces_its_files() -> None:
    made_at = datetime.fromtimestamp(1772427967, tz=UTC)
    expected = [
        Announced("cs-prod", f"data/f0714ca5/part-0000{n}.gz", size, None, made_at, "1772427967000")
        for n, size in ((0, 20), (1, 30))
    ]
    assert expected == announced(json.dumps(FDR), "crowdstrike_fdr")


def test_who_copies_the_feed_to_a_bucket_of_his_own_has_notifications_of_s3() -> None:
    assert announced(json.dumps(s3_event()), "s3_event") == announced(json.dumps(s3_event()), "crowdstrike_fdr")


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        ("no json", "s3_event", "not JSON"),
        ("[" * 100_000, "s3_event", "not JSON"),
        ("[1]", "s3_event", "expected an object, found list"),
        ("{}", "s3_event", "expected Records of an S3 event"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "s3_event", "not a s3_event notification: KeyError 's3'"),
        ('{"Records": [1]}', "s3_event", "not a s3_event notification"),
        ('{"detail-type": "Order Placed", "source": "shop"}', "s3_event", "an event of 'shop'"),
        (json.dumps(sns({"a": 1})), "s3_event", "expected Records of an S3 event"),
        ('{"bucket": "b"}', "crowdstrike_fdr", "not a crowdstrike_fdr notification"),
        (json.dumps(FDR), "s3_event", "expected Records"),
        (json.dumps({**FDR, "bucket": 7}), "crowdstrike_fdr", "expected a name, found 7"),
        (
            json.dumps({**FDR, "files": [{"path": "p", "size": -1}]}),
            "crowdstrike_fdr",
            "expected a size in bytes, found -1",
        ),
        (json.dumps({**FDR, "timestamp": 10**30}), "crowdstrike_fdr", "not a crowdstrike_fdr notification"),
    ],
)
def test_what_is_no_notification_is_said(body: str, shape: str, said: str) -> None:
    with pytest.raises(UnreadableMessage, match=said):
        announced(body, shape)
