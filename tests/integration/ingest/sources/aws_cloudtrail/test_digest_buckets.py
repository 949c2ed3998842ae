"""Log-file integrity over a bucket: signatures in the objects' metadata, keys from CloudTrail itself."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ingest.sources.aws_cloudtrail.digest.keys import AwsKeys
from ingest.sources.aws_cloudtrail.digest.logs import Landed
from ingest.sources.aws_cloudtrail.digest.report import Report
from ingest.sources.aws_cloudtrail.integrity import open_root, verify
from lake.storage.aws import NoSuchBucket
from lake.storage.store import AwsAccess
from orchestration.demo.simulators.s3 import S3Server
from tests.simulators.cloudtrail_keys import KeyService, key_service
from tests.unit.ingest.sources.aws_cloudtrail.trail import Trail, fingerprint, pkcs1, regzip

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
ACCESS = AwsAccess(region="us-east-1")


@pytest.fixture
def keys(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyService]:
    told = {
        "eu-central-1": [(fingerprint("old"), pkcs1("old")), (fingerprint("eu"), pkcs1("eu"))],
        "us-east-1": [(fingerprint("us"), pkcs1("us"))],
    }
    with key_service(told) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", service.url)
        yield service


def trail_of(**kinds: str) -> Trail:
    trail = Trail(**kinds)  # type: ignore[arg-type]
    for _ in range(7):
        trail.hour()
    return trail


def verified(root: str, first: str = "2026-03-02T05", last: str = "2026-03-02T08") -> Report:
    logs = open_root(root, ACCESS)
    return verify(logs, logs, AwsKeys(ACCESS), first, last, NOW, Landed())


def found(report: Report) -> list[tuple[str, str]]:
    return [(each.kind, each.file) for each in report.findings]


@pytest.mark.parametrize("prefix", ["", "security/trail/"], ids=["bucket", "prefix"])
def test_a_bucket_is_verified_with_keys_from_each_region(
    prefix: str, s3_bucket: str, s3_server: S3Server, keys: KeyService
) -> None:
    for kinds in ({}, {"region": "us-east-1", "key": "us"}):
        trail_of(prefix=prefix, **kinds).upload(s3_server.client(), s3_bucket)
    report = verified(f"s3://{s3_bucket}/{prefix}")
    assert [] == found(report)
    assert (2, 16, 16) == (len(report.chains), report.log_files, report.proven)
    assert ["eu-central-1", "eu-central-1", "us-east-1"] == sorted(region for region, _ in keys.calls)  # two pages


def test_a_root_may_be_one_account(s3_bucket: str, s3_server: S3Server, keys: KeyService) -> None:
    for account in ("111122223333", "444455556666"):
        trail_of(account=account, organisation="o-exampleorgid").upload(s3_server.client(), s3_bucket)
    report = verified(f"s3://{s3_bucket}/AWSLogs/o-exampleorgid/444455556666/")
    assert (1, []) == (len(report.chains), found(report))
    assert 2 == len(verified(f"s3://{s3_bucket}").chains)


def test_what_was_tampered_with_is_named_by_its_address(s3_bucket: str, s3_server: S3Server, keys: KeyService) -> None:
    trail = trail_of()
    altered, gone, digest = trail.logs[3], trail.logs[5], trail.digests[3]
    trail.files[altered] = regzip(trail.files[altered], b"ListBuckets", b"ListBuckexs")
    trail.files.pop(gone)
    trail.metadata[digest]["signature"] = trail.metadata[trail.digests[2]]["signature"]
    extra = trail.log(trail.at.replace(hour=5, minute=30), "planted")
    trail.upload(s3_server.client(), s3_bucket)
    assert {
        ("altered_log_file", f"s3://{s3_bucket}/{altered}"),
        ("missing_log_file", f"s3://org-trail-logs/{gone}"),
        ("altered_digest", f"s3://{s3_bucket}/{digest}"),
        ("extra_log_file", f"s3://{s3_bucket}/{extra}"),
    } == set(found(verified(f"s3://{s3_bucket}")))


def test_a_key_that_cloudtrail_does_not_list_is_unknown(s3_bucket: str, s3_server: S3Server, keys: KeyService) -> None:
    trail_of(key="forger").upload(s3_server.client(), s3_bucket)
    report = verified(f"s3://{s3_bucket}")
    assert {"unknown_public_key"} == {kind for kind, _ in found(report)} and 0 == report.proven


def test_without_the_permission_to_list_keys_hashes_are_verified_and_the_permission_is_named(
    s3_bucket: str, s3_server: S3Server, keys: KeyService
) -> None:
    keys.denied = True
    trail_of().upload(s3_server.client(), s3_bucket)
    report = verified(f"s3://{s3_bucket}")
    assert ["no_public_keys"] == [kind for kind, _ in found(report)]
    assert "cloudtrail:ListPublicKeys" in report.findings[0].why
    assert (8, 0) == (report.intact, report.proven)


def test_one_hour_costs_few_requests_however_many_days_the_bucket_holds(
    s3_bucket: str, s3_server: S3Server, keys: KeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = trail_of()
    trail.upload(s3_server.client(), s3_bucket)
    for day in range(1, 29):  # other months
        key = trail.digests[0].replace("2026/03/02", f"2025/11/{day:02}")
        s3_server.client().put_object(Bucket=s3_bucket, Key=key, Body=b"")
    counted: list[str] = []
    import ingest.transports.bucket_object as places

    pages = places.BucketPlace._pages

    def counting(self: places.BucketPlace, cost: places.Cost, **request: object) -> object:
        counted.append(str(request))
        return pages(self, cost, **request)

    monkeypatch.setattr(places.BucketPlace, "_pages", counting)
    report = verified(f"s3://{s3_bucket}", first="2026-03-02T05", last="2026-03-02T05")
    assert ([], 2) == (found(report), report.proven)
    assert len(counted) <= 16, counted


def test_a_bucket_that_is_not_there_is_named(s3_bucket: str, keys: KeyService) -> None:
    with pytest.raises(NoSuchBucket, match="no-such-bucket-here"):
        verified("s3://no-such-bucket-here/")
