"""The proxy passes S3 through untouched, and makes the faults it is told to make, as clients see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from orchestration.demo.simulators.s3 import S3Server, client, keys
from tests.simulators.faulty_http import Fault, FaultyProxy

BODY = bytes(range(256)) * 400


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3_server.url) as running:
        yield running


def get(proxy: FaultyProxy, bucket: str) -> bytes:
    return client(proxy.url).get_object(Bucket=bucket, Key="key")["Body"].read()


@pytest.fixture
def held(s3_server: S3Server, s3_bucket: str) -> str:
    s3_server.client().put_object(Bucket=s3_bucket, Key="key", Body=BODY)
    return s3_bucket


def test_without_a_fault_everything_goes_through(proxy, held):
    through = client(proxy.url)
    through.put_object(Bucket=held, Key="a b/ü+%", Body=BODY, IfNoneMatch="*")
    assert through.get_object(Bucket=held, Key="a b/ü+%", Range="bytes=5-9")["Body"].read() == BODY[5:10]
    assert through.head_object(Bucket=held, Key="key")["ContentLength"] == len(BODY)
    assert keys(through, held) == ["a b/ü+%", "key"]
    through.delete_objects(Bucket=held, Delete={"Objects": [{"Key": "key"}]})
    assert keys(through, held) == ["a b/ü+%"]
    assert proxy.counts() == {"PUT": 1, "GET": 3, "HEAD": 1, "POST": 1}


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (503, "SlowDown"), (403, "AccessDenied"), (403, "RequestTimeTooSkewed")],
)
def test_error_answers_are_s3s(proxy, held, status, code):
    proxy.inject(Fault("error", status=status, code=code))
    with pytest.raises(ClientError) as raised:
        get(proxy, held)
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert get(proxy, held) == BODY


def test_a_reset_in_the_middle_of_a_body(proxy, held):
    proxy.inject(Fault("reset", "GET", "/key$", at_bytes=50_000))
    with pytest.raises((ResponseStreamingError, ConnectionError, ConnectionClosedError)):
        get(proxy, held)
    assert get(proxy, held) == BODY


def test_a_body_that_ends_before_what_was_announced(proxy, held):
    proxy.inject(Fault("cut", "GET", "/key$", at_bytes=50_000))
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        get(proxy, held)


def test_silence_outlasts_the_client(proxy, held, s3_environment):
    proxy.inject(Fault("hang", "GET", seconds=30))
    impatient = client(proxy.url, read_timeout=0.3)
    with pytest.raises(ReadTimeoutError):
        impatient.get_object(Bucket=held, Key="key")


def test_an_upload_that_breaks_off_leaves_nothing(proxy, s3_server, s3_bucket):
    proxy.inject(Fault("reset_upload", "PUT", at_bytes=1000))
    with pytest.raises((ConnectionClosedError, ConnectionError)):
        client(proxy.url).put_object(Bucket=s3_bucket, Key="key", Body=BODY)
    assert keys(s3_server.client(), s3_bucket) == []


def test_a_lost_answer_is_that_of_a_request_that_was_done(proxy, s3_server, s3_bucket):
    proxy.inject(Fault("lost", "PUT"))
    with pytest.raises((ConnectionClosedError, ConnectionError)):
        client(proxy.url).put_object(Bucket=s3_bucket, Key="key", Body=BODY)
    assert keys(s3_server.client(), s3_bucket) == ["key"]
    assert [(each.status, each.fault) for each in proxy.exchanges] == [(0, "lost")]


def test_a_skewed_clock_shows_in_the_answers_times(proxy, s3_server, held):
    true = s3_server.client().head_object(Bucket=held, Key="key")["LastModified"]
    proxy.inject(Fault("skew", seconds=-86400))
    assert (true - client(proxy.url).head_object(Bucket=held, Key="key")["LastModified"]).total_seconds() == 86400


def test_a_slow_body_is_whole(proxy, held):
    proxy.inject(Fault("slow", seconds=0.2))
    assert get(proxy, held) == BODY


def test_something_may_happen_right_before_a_request(proxy, s3_server, held):
    proxy.inject(Fault("act", "GET", act=lambda: s3_server.client().delete_object(Bucket=held, Key="key")))
    with pytest.raises(ClientError, match="NoSuchKey"):
        get(proxy, held)


def test_a_fault_is_made_as_often_as_it_is_told_and_only_where(proxy, held):
    fault = proxy.inject(Fault("error", "GET", "/key$", after=1, times=2))
    seen = []
    for _ in range(5):
        client(proxy.url).head_object(Bucket=held, Key="key")
        try:
            seen.append(len(get(proxy, held)))
        except ClientError:
            seen.append(0)
    assert (seen, fault.made) == ([len(BODY), 0, 0, len(BODY), len(BODY)], 2)
    every = proxy.inject(Fault("error", "HEAD", every=3, times=None))
    for _ in range(7):
        with suppress(ClientError):
            client(proxy.url).head_object(Bucket=held, Key="key")
    assert every.made == 2
    proxy.inject(Fault("error", times=None))
    proxy.heal()
    assert get(proxy, held) == BODY
