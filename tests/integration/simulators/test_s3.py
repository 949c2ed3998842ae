"""The S3-compatible server answers as the lake and the transports need it."""

from __future__ import annotations

import os
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from orchestration.demo.simulators.s3 import S3Server, client, keys, put_all


def test_a_fresh_bucket_is_reached_by_the_environment_alone(s3_bucket):
    boto3.client("s3").put_object(Bucket=s3_bucket, Key="a/b", Body=b"1")
    assert boto3.client("s3").get_object(Bucket=s3_bucket, Key="a/b")["Body"].read() == b"1"


def test_every_test_has_a_bucket_of_its_own(s3_server, s3_bucket):
    assert keys(s3_server.client(), s3_bucket) == []
    assert s3_server.bucket() != s3_bucket


def test_an_object_is_replaced_only_by_who_knows_what_it_was(s3_server, s3_bucket):
    s3 = s3_server.client()
    first = s3.put_object(Bucket=s3_bucket, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=s3_bucket, Key="key", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=s3_bucket, Key="key", Body=b"2", IfMatch=first)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=s3_bucket, Key="key", Body=b"3", IfMatch=first)
    assert s3.get_object(Bucket=s3_bucket, Key="key")["Body"].read() == b"2"


def test_keys_are_listed_by_prefix(s3_server, s3_bucket):
    put_all(s3_server.client(), s3_bucket, {"b/2": b"", "b/1": b"", "c/3": b""})
    assert keys(s3_server.client(), s3_bucket, "b/") == ["b/1", "b/2"]


def test_it_speaks_sqs_too(s3_server, s3_environment):
    sqs = s3_server.client("sqs")
    queue = sqs.create_queue(QueueName="objects")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="hello")
    assert [each["Body"] for each in sqs.receive_message(QueueUrl=queue)["Messages"]] == ["hello"]


def test_it_ends_when_it_is_stopped():
    with S3Server() as server:
        pid = server.pid
        client(server.url).list_buckets()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the server outlived its stop")
