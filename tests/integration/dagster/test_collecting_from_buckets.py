"""Hours of a bucket become batches: each object once, what vanishes is reported, what is late is found."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from ingest.contracts import load_contracts
from ingest.landing import LandingError, LandingSettings, ObjectsGone, land, land_files
from ingest.transports import bucket
from lake import ledger
from lake.ledger import LandingReceipt
from lake.storage.aws import AccessDenied
from lake.storage.store import AwsAccess, LocalStore
from orchestration.checks.arrival import newest_check
from orchestration.checks.landing import _imbalance
from orchestration.demo.simulators.s3 import S3Server
from orchestration.settings import ObjectSource, S3Access, Settings
from orchestration.steps.collect import land_hour, late_objects
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.simulators.faulty_http import Fault, FaultyProxy

HOUR = datetime(2026, 3, 2, 5)
CONTRACT = load_contracts()[SOURCE]


class Trail:
    """A trail's bucket, and a lake of this machine that reads it."""

    def __init__(self, folder: Path, server: S3Server, url: str) -> None:
        self.client, self.bucket = server.client(), server.bucket()
        access = S3Access(endpoint_url=url, addressing_style="path")
        place = ObjectSource(root=f"s3://{self.bucket}/logs", s3=access)
        self.settings = Settings(lake=str(folder / "lake"), sources={SOURCE: place}, threads=1)
        self.store = LocalStore(folder / "lake")
        self.access = AwsAccess(endpoint_url=url, addressing_style="path")

    def deliver(self, delivered: datetime, *uids: str, tail: int | None = None) -> str:
        records = [call(uid, f"{delivered:%Y-%m-%dT%H}:01:00Z") for uid in uids]
        body = gzip.compress(json.dumps({"Records": records}).encode(), mtime=0)[:tail]
        name = f"100200300401_CloudTrail_eu-west-1_{delivered:%Y%m%dT%H%M}Z_{'-'.join(uids)}.json.gz"
        key = f"logs/AWSLogs/100200300401/CloudTrail/eu-west-1/{delivered:%Y/%m/%d}/{name}"
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def land(self, hour: datetime = HOUR) -> LandingReceipt:
        return land_hour(self.settings, CONTRACT, hour)

    def uids(self) -> list[str]:
        files = [self.store.url(entry.key) for entry in self.store.list("bronze")]
        query = f"select eventID from read_parquet({files!r}, hive_partitioning = false) order by 1"
        return [row[0] for row in duckdb.sql(query).fetchall()] if files else []


@pytest.fixture
def trail(tmp_path: Path, s3_server: S3Server, s3_environment: str) -> Trail:
    return Trail(tmp_path, s3_server, s3_environment)


def at(minute: int, hour: int = 5) -> datetime:
    return datetime(2026, 3, 2, hour, minute)


def test_an_hour_of_a_bucket_lands_once_and_again_changes_nothing(trail: Trail) -> None:
    keys = [trail.deliver(at(5), "a", "b"), trail.deliver(at(55), "c")]
    trail.deliver(at(5, 6), "d")
    first = trail.land()
    assert (3, 3, 0) == (first.read, first.landed, first.quarantined)
    assert [f"s3://{trail.bucket}/{key}" for key in sorted(keys)] == [mark.name for mark in first.objects]
    assert all("-" in mark.fingerprint and mark.bytes > 0 for mark in first.objects)
    again = trail.land()
    assert (first.files, first.objects) == (again.files, again.objects)
    assert ["a", "b", "c"] == trail.uids()
    assert 0 == trail.land(HOUR - timedelta(hours=3)).read


def test_an_object_that_was_landed_by_hand_is_left_to_its_batch(trail: Trail) -> None:
    key = trail.deliver(at(5), "a")
    trail.deliver(at(6), "b")
    found = bucket.list_objects(CONTRACT, [f"s3://{trail.bucket}/{key}"], trail.access)
    land_files(CONTRACT, found.objects, trail.store)
    assert 1 == trail.land().read
    assert ["a", "b"] == trail.uids()


def test_an_object_deleted_between_listing_and_reading_costs_its_batch_nothing(trail: Trail) -> None:
    trail.deliver(at(5), "a")
    gone = trail.deliver(at(6), "b")
    listed = bucket.list_objects(CONTRACT, [f"s3://{trail.bucket}/logs"], trail.access, HOUR).objects
    trail.client.delete_object(Bucket=trail.bucket, Key=gone)
    receipt = land(CONTRACT, listed, trail.store, "20260302T05", LandingSettings(threads=1))
    assert (1, 1, 1) == (receipt.read, receipt.landed, len(receipt.objects))
    ((name, why),) = receipt.ignored
    assert f"s3://{trail.bucket}/{gone}" == name
    assert "deleted after it was listed and before it was read; nothing of it was landed" in why
    trail.deliver(at(6), "b")  # it comes back
    assert 2 == trail.land().landed
    assert ["a", "b"] == trail.uids()


def test_records_that_landed_are_not_lost_when_their_objects_expire(trail: Trail) -> None:
    trail.deliver(at(5), "a")
    gone = trail.deliver(at(6), "b")
    before = trail.land()
    listed = bucket.list_objects(CONTRACT, [f"s3://{trail.bucket}/logs"], trail.access, HOUR).objects
    trail.client.delete_object(Bucket=trail.bucket, Key=gone)
    with pytest.raises(ObjectsGone, match="holds 1 objects that are no longer at the source"):
        trail.land()
    with pytest.raises(ObjectsGone, match="nothing was changed"):  # gone between listing and reading
        land(CONTRACT, listed, trail.store, before.batch, LandingSettings(threads=1))
    assert before == ledger.landing(trail.store, SOURCE, before.batch)
    assert ["a", "b"] == trail.uids()


def test_a_cut_off_object_keeps_what_can_be_read_and_quarantines_the_break(trail: Trail) -> None:
    trail.deliver(at(5), *[f"event-{n}" for n in range(200)], tail=-40)
    trail.deliver(at(6), "whole")
    receipt = trail.land()
    assert receipt.conserved and 100 < receipt.landed
    assert {"truncated_object": 1} == receipt.quarantined_by_reason


def test_an_hour_survives_refusals_and_broken_connections(
    tmp_path: Path, s3_server: S3Server, s3_environment: str
) -> None:
    with FaultyProxy(s3_server.url) as proxy:
        trail = Trail(tmp_path, s3_server, proxy.url)
        for minute in range(20):
            trail.deliver(at(minute), f"a{minute:02d}")
        proxy.inject(Fault("error", "GET", status=503, code="SlowDown", every=5, times=4))
        proxy.inject(Fault("cut", "GET", "_CloudTrail_", at_bytes=100, every=3, times=4))
        assert 20 == trail.land().landed
    assert [f"a{minute:02d}" for minute in range(20)] == trail.uids()


def test_denied_reading_lands_nothing_and_names_the_permission(
    tmp_path: Path, s3_server: S3Server, s3_environment: str
) -> None:
    with FaultyProxy(s3_server.url) as proxy:
        trail = Trail(tmp_path, s3_server, proxy.url)
        key = trail.deliver(at(5), "a")
        proxy.inject(Fault("error", "GET", "_CloudTrail_", status=403, code="AccessDenied", times=None, after=1))
        with pytest.raises(LandingError, match=rf"s3:GetObject on s3://{trail.bucket}/{key} was denied"):
            trail.land()
    assert [] == list(ledger.landings(trail.store))


def test_one_denied_object_leaves_its_hour_incomplete_and_is_looked_for_until_it_lands(
    tmp_path: Path, s3_server: S3Server, s3_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).replace(minute=10, second=0, microsecond=0, tzinfo=None) - timedelta(hours=5)
    hour = now.replace(minute=0)
    with FaultyProxy(s3_server.url) as proxy:
        trail = Trail(tmp_path, s3_server, proxy.url)
        trail.deliver(now, "a")
        name = f"s3://{trail.bucket}/{trail.deliver(now, 'secret')}"
        proxy.inject(Fault("error", "GET", "_secret", status=403, code="AccessDenied", times=None))
        first = trail.land(hour)
        assert (1, [name], ["a"]) == (first.landed, [each for each, _ in first.unreadable], trail.uids())
        assert f"1 objects could not be read (first: s3:GetObject on {name} was denied" in _imbalance(
            trail.store, first
        )
        monkeypatch.setattr("orchestration.checks.arrival.newest_closed", lambda _: hour)
        key = dg.AssetCheckKey(dg.AssetKey(["bronze", SOURCE]), "newest")
        newest = newest_check(key, trail.store, trail.settings, CONTRACT)
        assert (False, True) == (
            newest.passed,
            "1 records, without 1 objects that could not" in str(newest.description),
        )
        late = late_objects(trail.settings, CONTRACT)
        assert ({hour: [name]}, {hour: {name}}) == (late.hours, late.unread)
        proxy.heal()
        assert newest_check(key, trail.store, trail.settings, CONTRACT).passed is False
        assert (2, ()) == ((again := trail.land(hour)).landed, again.unreadable)
        assert newest_check(key, trail.store, trail.settings, CONTRACT).passed
        assert {} == late_objects(trail.settings, CONTRACT).hours
    assert ["a", "secret"] == trail.uids()


def test_what_is_new_in_an_hour_lands_though_older_objects_of_it_are_gone(trail: Trail) -> None:
    gone = trail.deliver(at(5), "a")
    before = trail.land()
    trail.client.delete_object(Bucket=trail.bucket, Key=gone)
    trail.deliver(at(6), "late")
    for said in ("holds 1 objects that are no longer .* has landed as files-", "bronze keeps what it has.$"):
        with pytest.raises(ObjectsGone, match=said):
            trail.land()
    assert before == ledger.landing(trail.store, SOURCE, before.batch)
    assert ["a", "late"] == trail.uids()


def test_objects_that_come_after_their_hour_was_landed_are_found_in_the_last_days(trail: Trail) -> None:
    now = datetime.now(UTC).replace(minute=10, second=0, microsecond=0, tzinfo=None) - timedelta(hours=5)
    hour, old = now.replace(minute=0), now - timedelta(days=10)
    for delivered in (now, old):
        trail.deliver(delivered, "first")
        trail.land(delivered.replace(minute=0))
    assert {} == late_objects(trail.settings, CONTRACT).hours
    late = trail.deliver(now + timedelta(minutes=5), "late")
    trail.deliver(old + timedelta(minutes=5), "later")  # too old to be looked for; its hour can be landed again
    trail.deliver(now + timedelta(hours=1), "next")  # its hour never landed: that is the schedule's work
    assert {hour: [f"s3://{trail.bucket}/{late}"]} == late_objects(trail.settings, CONTRACT).hours
    assert 2 == trail.land(hour).landed
    assert {} == late_objects(trail.settings, CONTRACT).hours


def test_late_objects_that_no_hour_would_look_for_are_said(trail: Trail) -> None:
    now = datetime.now(UTC).replace(minute=10, second=0, microsecond=0, tzinfo=None) - timedelta(hours=5)
    key = trail.deliver(now, "first")
    trail.client.put_object(Bucket=trail.bucket, Key=key.replace("100200300401_CloudTrail", "renamed"), Body=b"{}")
    (note,) = late_objects(trail.settings, CONTRACT).notes
    assert "renamed" in note and "begins as no layout of the contract, so no hour looks for it; land it by hand" in note


def test_another_account_is_read_through_its_role(
    trail: Trail, s3_environment: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.deliver(at(5), "a")
    role = S3Access(
        endpoint_url=s3_environment,
        addressing_style="path",
        role_arn="arn:aws:iam::999988887777:role/reader",
        external_id="secret-word",
    )
    place = ObjectSource(root=f"s3://{trail.bucket}/logs", s3=role)
    settings = trail.settings.model_copy(update={"sources": {SOURCE: place}})
    with FaultyProxy(s3_environment) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.inject(Fault("error", "POST", status=403, code="AccessDenied", times=1))
        with pytest.raises(AccessDenied, match="sts:AssumeRole of arn:aws:iam::999988887777:role/reader was refused"):
            land_hour(settings, CONTRACT, HOUR)
        assert 1 == land_hour(settings, CONTRACT, HOUR).landed
        assert {"POST": 2} == sts.counts()
    words = caplog.text + "".join(file.read_text() for file in Path(trail.store.root, "ledger").rglob("*.json"))
    assert "secret-word" not in words and "testing" not in words
