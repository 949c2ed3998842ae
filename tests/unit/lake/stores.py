"""The stores of one lake each, for tests that hold every kind to the same contract."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from lake.base.sql import at_hand
from lake.storage import duck
from lake.storage.publish import open_store
from lake.storage.store import AwsAccess, LocalStore, S3Options, Store

KINDS = ("folder", "bucket")
Opened = Callable[[], Store]


def opened(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Opened:
    """Return a function that opens the same lake again, as another process of this machine would."""
    if kind == "folder":
        return lambda: open_store(tmp_path / "lake")
    bucket: str = request.getfixturevalue("s3_bucket")
    return lambda: open_store(f"s3://{bucket}/a lake/of=ours", S3Options(AwsAccess(), tmp_path / "scratch"))


def asked(store: Store) -> duckdb.DuckDBPyConnection:
    """A connection that reads a store: for a folder that of the process, since starting DuckDB takes 10 ms."""
    return at_hand() if isinstance(store, LocalStore) else duck.connect(store)
