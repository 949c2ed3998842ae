"""The same from a bucket: DuckDB, pyarrow and Polars read silver under `s3://` as they do in a folder.

Spark is not among them: its S3 file system is hadoop-aws, jars that no Python package carries.
"""

from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import polars as pl
import pyarrow.fs
import pytest

from lake.storage import duck
from lake.storage.store import AwsAccess
from orchestration.demo.simulators import s3
from orchestration.demo.simulators.s3 import S3Server
from tests.interop import test_duckdb, test_polars, test_pyarrow
from tests.interop.conftest import Silver, ordered

TABLE = "authentication"


@pytest.fixture
def bucket(silver: Silver, s3_server: S3Server, s3_bucket: str) -> str:
    client = s3_server.client("s3")
    for path in sorted(Path(silver.folder(TABLE)).rglob("*.parquet")):
        client.upload_file(str(path), s3_bucket, f"lake/{path.relative_to(silver.path).as_posix()}")
    return s3_bucket


def test_duckdb_reads_a_bucket(silver: Silver, bucket: str, s3_server: S3Server) -> None:
    with duckdb.connect() as con:
        duck.load_extension(con, "httpfs")
        duck.allow(con, f"s3://{bucket}/", AwsAccess(endpoint_url=s3_server.url))
        found = test_duckdb.read(con, f"s3://{bucket}/lake/silver/{TABLE}")
        assert silver.rows(TABLE) == ordered([dict(zip(found.columns, row, strict=True)) for row in found.fetchall()])


def test_pyarrow_reads_a_bucket(silver: Silver, bucket: str, s3_server: S3Server) -> None:
    place = urlsplit(s3_server.url)
    reached = pyarrow.fs.S3FileSystem(endpoint_override=place.netloc, scheme=place.scheme, region=s3.REGION)
    found = test_pyarrow.read(f"{bucket}/lake/silver/{TABLE}", reached)
    assert silver.rows(TABLE) == ordered(found.to_pylist())


def test_polars_reads_a_bucket(silver: Silver, bucket: str, s3_server: S3Server) -> None:
    files = [f"s3://{bucket}/lake/{path.relative_to(silver.path).as_posix()}" for path in _files(silver)]
    reached = {"aws_endpoint_url": s3_server.url, "aws_allow_http": "true", "aws_region": s3.REGION}
    found = test_polars.read(files, storage_options=reached, credential_provider=None)
    assert isinstance(found, pl.DataFrame)
    assert silver.rows(TABLE) == ordered([test_polars.as_text(row) for row in found.to_dicts()])


def _files(silver: Silver) -> list[Path]:
    return sorted(Path(silver.folder(TABLE)).rglob("*.parquet"))
