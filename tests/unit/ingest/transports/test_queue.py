"""A queue is asked in its own region, whatever region the process is in: feeds of vendors come from theirs."""

import pytest

from ingest.transports.queue import Queue
from lake.storage.store import AwsAccess


@pytest.mark.parametrize(
    ("host", "asked", "region"),
    [
        ("sqs.us-west-1.amazonaws.com", "sqs.us-west-1.amazonaws.com", "us-west-1"),
        ("us-west-2.queue.amazonaws.com", "sqs.us-west-2.amazonaws.com", "us-west-2"),
        ("queue.amazonaws.com", "sqs.us-east-1.amazonaws.com", "us-east-1"),
        ("sqs.cn-north-1.amazonaws.com.cn", "sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0.sqs.us-east-2.vpce.amazonaws.com", "vpce-0.sqs.us-east-2.vpce.amazonaws.com", "us-east-2"),
        ("sqs-fips.us-gov-west-1.amazonaws.com", "sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sqs.eu-west-1.api.aws", "sqs.eu-west-1.api.aws", "eu-west-1"),
        ("127.0.0.1:5000", "127.0.0.1:5000", "eu-central-1"),
    ],
)
def test_a_queue_is_asked_where_its_address_says(
    host: str, asked: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    meta = Queue(f"https://{host}/1/q", AwsAccess(region="eu-central-1"))._client.meta
    assert (f"https://{asked}", region) == (meta.endpoint_url, meta.region_name)
