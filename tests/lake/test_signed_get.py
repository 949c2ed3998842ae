"""A GET without botocore's client gives what the client would give, or leaves the answer to it."""

import gzip

import pytest

from lake.aws import AwsAccess, client
from lake.signed_get import signed_get


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
