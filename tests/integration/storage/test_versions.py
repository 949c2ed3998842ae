"""In a bucket that keeps versions, an erasure takes the older ones along, and no current object."""

from pathlib import Path

import pytest

from lake.storage import paths
from lake.storage.publish import open_store
from lake.storage.store import AwsAccess, S3Options, Store
from lake.upkeep.erasure_proof import forget_versions
from orchestration.demo.simulators.s3 import S3Server
from tests.unit.lake.held import SOURCE, build, keys, landing
from tests.unit.lake.test_erasure import ROWS, erased


@pytest.fixture
def bucket(s3_server: S3Server, s3_bucket: str) -> str:
    s3_server.client().put_bucket_versioning(Bucket=s3_bucket, VersioningConfiguration={"Status": "Enabled"})
    return s3_bucket


@pytest.fixture
def store(bucket: str, tmp_path: Path) -> Store:
    made = open_store(f"s3://{bucket}/lake", S3Options(AwsAccess(), tmp_path / "scratch"))
    for batch, records in list(ROWS.items())[:2]:
        landing(made, batch, records)
    build(made)
    for folder in (paths.index_folder("authentication", SOURCE), paths.gold_folder("threat_matches")):
        for hour in (3, 5):  # of her records
            made.write(f"{folder}/date=2026-03-02/hour=0{hour}/part.parquet", b"of ann")
    return made


def versions(server: S3Server, bucket: str, text: str) -> set[str]:
    """The keys of which any version, current or not, holds a text (Parquet keeps short columns readable)."""
    client, found = server.client(), set()
    for each in client.list_object_versions(Bucket=bucket).get("Versions", ()):
        body = client.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        if text.encode() in body:
            found.add(each["Key"].removeprefix("lake/"))
    return found


def test_older_versions_of_erased_records_go_and_current_objects_stay(
    store: Store, s3_server: S3Server, bucket: str
) -> None:
    receipt, proof = erased(store)
    assert proof.holds
    known = {key.split("/")[0] for key in versions(s3_server, bucket, "ann")}
    assert {"bronze", "index", "gold"} <= known, "the bucket still knows"
    before = keys(store, "")
    assert forget_versions(store, receipt) == ()
    assert versions(s3_server, bucket, "ann") == {f"erasures/conditions/{SOURCE}/{receipt.erasure}.json"}
    assert keys(store, "") == before


def test_what_may_not_be_removed_is_said_to_remain(
    store: Store, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server, bucket: str
) -> None:
    receipt, _ = erased(store)
    client = store.client  # type: ignore[attr-defined]
    refused = {"Errors": [{"Key": "x", "Code": "AccessDenied"}]}
    monkeypatch.setattr(client, "delete_objects", lambda **_: refused)
    (said,) = forget_versions(store, receipt)
    assert "AccessDenied" in said and "s3:DeleteObjectVersion" in said
