"""What a lake writes into its bucket asks for the encryption that the settings name, by every way of writing."""

from pathlib import Path

import pytest

from lake.storage.aws import client
from lake.storage.publish import Change, Workplace, publish
from lake.storage.s3 import S3Store
from lake.storage.store import AwsAccess, S3Options

KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("encryption", "kms_key_id", "expected"),
    [("AES256", None, ("AES256", None)), ("aws:kms", KEY, ("aws:kms", KEY))],
    ids=["SSE-S3", "SSE-KMS"],
)
def test_every_object_is_encrypted_as_said(
    s3_bucket: str, tmp_path: Path, encryption: str, kms_key_id: str | None, expected: tuple[str, str | None]
) -> None:
    store = S3Store(f"s3://{s3_bucket}/lake", S3Options(AwsAccess(), tmp_path, encryption, kms_key_id))
    with Workplace(store, "land") as place:
        (place.path / "x").write_bytes(b"x")
        moves = ((place.key_of(place.path / "x"), "bronze/x"),)
        publish(store, lambda: Change(moves=moves, receipts=(("ledger/r", "{}"),)))
        staged = _sealed(s3_bucket, f"lake/{moves[0][0]}")
    assert [staged, *(_sealed(s3_bucket, f"lake/{key}") for key in ("bronze/x", "ledger/r"))] == [expected] * 3


def _sealed(bucket: str, key: str) -> tuple[str | None, str | None]:
    head = client(AwsAccess(), "s3").head_object(Bucket=bucket, Key=key)
    return head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")
