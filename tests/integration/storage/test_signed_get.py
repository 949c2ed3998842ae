"""A GET without botocore's client gives what the client would give, or leaves the answer to it."""

import gzip

import pytest

from lake.storage.aws import address_of, client
from lake.storage.signed_get import signed_get
from lake.storage.store import AwsAccess
from orchestration.demo.simulators.s3 import S3Server
from tests.simulators.faulty_http import FaultyProxy


@pytest.mark.parametrize("key", ["AWSLogs/1/a b+c%20d/é~(1).json", "plain", "a//b", "x=y/z&w?q#f"])
def test_any_key_is_read(s3_bucket: str, key: str) -> None:
    client(AwsAccess(), "s3").put_object(Bucket=s3_bucket, Key=key, Body=b"0123456789")
    whole = signed_get(AwsAccess(), s3_bucket, key, {})
    assert whole.read() == b"0123456789"
    assert signed_get(AwsAccess(), s3_bucket, key, {"Range": "bytes=3-5"}).read() == b"345"


def test_bytes_are_those_stored_whatever_encoding_is_said(s3_bucket: str) -> None:
    stored = gzip.compress(b"{}\n" * 100)
    client(AwsAccess(), "s3").put_object(Bucket=s3_bucket, Key="x.gz", Body=stored, ContentEncoding="gzip")
    assert signed_get(AwsAccess(), s3_bucket, "x.gz", {}).read() == stored


def test_what_is_no_success_is_left_to_the_client(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client(AwsAccess(), "s3").put_object(Bucket=s3_bucket, Key="x", Body=b"new")
    assert signed_get(AwsAccess(), s3_bucket, "nowhere", {}) is None
    assert signed_get(AwsAccess(), s3_bucket, "x", {"If-Match": '"another"'}) is None
    assert signed_get(AwsAccess(endpoint_url="http://127.0.0.1:9"), s3_bucket, "x", {}) is None
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert signed_get(AwsAccess(region="eu-central-1"), s3_bucket, "x", {}) is None


def test_the_environment_of_now_says_where_objects_are(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(AwsAccess(), "s3").put_object(Bucket=s3_bucket, Key="x", Body=b"1")
    assert signed_get(AwsAccess(), s3_bucket, "x", {}).read() == b"1"
    with FaultyProxy(s3_server.url) as elsewhere:
        monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere.url)
        assert signed_get(AwsAccess(), s3_bucket, "x", {}).read() == b"1"
        assert elsewhere.counts("/x$") == {"GET": 1}


@pytest.mark.parametrize(
    ("access", "bucket", "address"),
    [
        (AwsAccess(region="eu-central-1"), "logs", "https://logs.s3.eu-central-1.amazonaws.com/"),
        (AwsAccess(region="eu-central-1"), "my.logs", "https://s3.eu-central-1.amazonaws.com/my.logs/"),
        (
            AwsAccess(region="eu-central-1", addressing_style="path"),
            "logs",
            "https://s3.eu-central-1.amazonaws.com/logs/",
        ),
        (AwsAccess(region="us-gov-west-1"), "logs", "https://logs.s3.us-gov-west-1.amazonaws.com/"),
        (AwsAccess(endpoint_url="http://127.0.0.1:9"), "logs", "http://127.0.0.1:9/logs/"),
    ],
)
def test_requests_go_to_the_bucket_of_its_region(
    access: AwsAccess, bucket: str, address: str, s3_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert address_of(access, bucket) == address
