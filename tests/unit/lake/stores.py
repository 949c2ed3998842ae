"""The stores of one lake each, for tests that hold every kind to the same contract."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lake.storage.publish import open_store
from lake.storage.store import AwsAccess, S3Options, Store

KINDS = ("folder", "bucket")
Opened = Callable[[], Store]


def opened(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Opened:
    """Return a function that opens the same lake again, as another process of this machine would."""
    if kind == "folder":
        return lambda: open_store(tmp_path / "lake")
    bucket: str = request.getfixturevalue("s3_bucket")
    return lambda: open_store(f"s3://{bucket}/a lake/of=ours", S3Options(AwsAccess(), tmp_path / "scratch"))
