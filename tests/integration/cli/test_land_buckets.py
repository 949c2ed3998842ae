"""`headwater land` of a bucket and of a queue, and what `doctor` and `sources` say of them."""

import gzip
import json
from pathlib import Path

import pytest

from orchestration.demo.simulators.s3 import S3Server
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.integration.lakes import headwater
from tests.simulators.faulty_http import Fault, FaultyProxy

KEY = "AWSLogs/100200300401/CloudTrail/eu-west-1/2026/03/02/100200300401_CloudTrail_eu-west-1_20260302T0505Z_x.json.gz"


@pytest.fixture
def place(s3_bucket: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with one object of CloudTrail, a queue that announces it, and settings that name both."""
    body = gzip.compress(json.dumps({"Records": [call("a", "2026-03-02T05:01:00Z")]}).encode())
    etag = s3_server.client().put_object(Bucket=s3_bucket, Key=KEY, Body=body)["ETag"].strip('"')
    sqs = s3_server.client("sqs")
    url = sqs.create_queue(QueueName=s3_bucket)["QueueUrl"]
    made = {"key": KEY, "size": len(body), "eTag": etag}
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": s3_bucket}, "object": made}}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))
    settings = {"root": f"s3://{s3_bucket}", "queue": f"{s3_server.url}/{url.split('/', 3)[3]}"}
    file = tmp_path / "headwater.yml"
    file.write_text(json.dumps({"lake": "lake", "threads": 1, "sources": {SOURCE: settings}}))
    monkeypatch.setenv("HEADWATER_CONFIG", str(file))
    return f"s3://{s3_bucket}"


def test_a_bucket_lands_and_lands_once(place: str) -> None:
    first = headwater("land", SOURCE, f"{place}/AWSLogs", "--json")
    assert (0, 1, 1) == (first.code, first.json["objects"], first.json["landed"]), first.err
    again = headwater("land", SOURCE, f"{place}/{KEY}", "--json")
    assert [True] == [each["unchanged"] for each in again.json["batches"]]


def test_a_queue_lands_what_it_announces(place: str) -> None:
    answer = headwater("land", SOURCE, "--queue", "--json")
    assert (0, 1, 1) == (answer.code, answer.json["objects"], answer.json["landed"]), answer.err
    assert 1 == len(answer.json["batches"])
    empty = headwater("land", SOURCE, "--queue")
    assert (0, "0 read = 0 landed + 0 quarantined") == (empty.code, empty.out.strip().splitlines()[-1])
    after = headwater("land", SOURCE, place, "--json")
    assert (True, 1) == (after.json["batches"][0]["unchanged"], after.json["landed"])


@pytest.mark.parametrize("way", ["--queue", "path"])
def test_an_object_that_may_not_be_read_is_named_and_the_command_ends_with_one(
    way: str, place: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs, bucket, other = s3_server.client("sqs"), place.removeprefix("s3://"), KEY.replace("_x", "_y")
    s3_server.client().copy_object(Bucket=bucket, Key=other, CopySource=f"{bucket}/{KEY}")
    made = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": other}}}
    url = sqs.get_queue_url(QueueName=bucket)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [made]}))
    where = "--queue" if way == "--queue" else place
    denied = f"s3:GetObject on {place}/{other} was denied (AccessDenied): allow the permission s3:GetObject"
    with FaultyProxy(s3_server.url) as proxy, monkeypatch.context() as through:
        through.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.inject(Fault("error", "GET", "_y.json", status=403, code="AccessDenied", times=None))
        answer = headwater("land", SOURCE, where)
    assert (1, True) == (answer.code, f"could not be read, and was left out: {denied}" in answer.out), answer.out
    assert "1 read = 1 landed + 0 quarantined" in answer.out
    sheet = headwater("balance")
    assert (1, True) == (sheet.code, f"1 objects could not be read and are in no batch (first: {denied}" in sheet.out)
    whole = headwater("land", SOURCE, place, "--json")
    assert (0, 2) == (whole.code, whole.json["landed"]), whole.err
    assert "could not be read" not in headwater("balance").out


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (("land", SOURCE), 2, "expected files, folders or s3://bucket/prefix, or --queue alone"),
        (("land", SOURCE, "x", "--queue"), 2, "or --queue alone"),
        (("land", SOURCE, "s3://"), 2, "s3://: expected s3://bucket/prefix"),
        (("land", SOURCE, "s3://no-such-bucket-anywhere/x"), 1, "there is no bucket no-such-bucket-anywhere"),
        (("land", "windows_event", "--queue"), 2, "windows_event is not configured"),
    ],
)
def test_what_cannot_be_landed_is_one_line(place: str, call: tuple[str, ...], code: int, said: str) -> None:
    answer = headwater(*call)
    assert (code, True) == (answer.code, said in answer.err), answer.err
    assert "Traceback" not in answer.err


def test_a_place_without_objects_is_named(place: str) -> None:
    answer = headwater("land", SOURCE, f"{place}/nowhere")
    assert (2, True) == (answer.code, f"{place}/nowhere: no object is there" in answer.err)


def test_doctor_asks_the_bucket_and_the_queue(place: str, tmp_path: Path) -> None:
    found = {each["subject"]: each for each in headwater("doctor", "--json").json}[f"source {SOURCE}"]
    assert "ok" == found["state"], found
    file = tmp_path / "headwater.yml"
    file.write_text(file.read_text().replace(place, "s3://no-such-bucket-anywhere"))
    found = {each["subject"]: each for each in headwater("doctor", "--json").json}[f"source {SOURCE}"]
    assert ("error", True) == (found["state"], "there is no bucket" in found["found"])
