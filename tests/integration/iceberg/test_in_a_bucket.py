"""A lake in a bucket, its Iceberg tables beside it: published through the lake's store, read by others' own ways."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyiceberg.catalog import load_catalog

from lake.base.sql import literal
from lake.iceberg import IcebergError, Place, forget_history, publish_tables
from lake.storage import duck
from lake.storage.s3 import S3Store
from lake.storage.store import AwsAccess, S3Options
from orchestration.demo.simulators import s3
from orchestration.demo.simulators.s3 import S3Server
from tests.integration.iceberg.built import Lake, told
from tests.integration.iceberg.conftest import read, table

HOURS = ("2026-03-02T04", "2026-03-02T05")


@pytest.fixture
def bucket_lake(tmp_path: Path, s3_bucket: str, s3_server: S3Server) -> Lake:
    options = S3Options(AwsAccess(endpoint_url=s3_server.url), tmp_path / "scratch")
    return Lake(S3Store(f"s3://{s3_bucket}/security/lake", options), tmp_path)


@pytest.fixture
def bucket_place(bucket_lake: Lake, tmp_path: Path) -> Place:
    return Place(bucket_lake.store, uri=f"sqlite:///{tmp_path}/iceberg.db")


def publish(lake: Lake, place: Place) -> None:
    """Two hours, then one of them again."""
    lake.build(HOURS[0], [1, 2])
    lake.build(HOURS[1], [3])
    assert [1] == [len(each.snapshots) for each in publish_tables(lake.store, place)]
    lake.build(HOURS[1], [4, 5])
    assert [1] == [len(each.snapshots) for each in publish_tables(lake.store, place)]
    assert [0] == [len(each.snapshots) for each in publish_tables(lake.store, place)]


def test_a_bucket_is_published_and_read_by_duckdb(bucket_lake: Lake, bucket_place: Place, s3_server: S3Server) -> None:
    publish(bucket_lake, bucket_place)
    with duckdb.connect() as con:
        for name in ("avro", "httpfs", "iceberg"):
            duck.load_extension(con, name)
        duck.allow(con, "s3://", AwsAccess(endpoint_url=s3_server.url))
        found = con.sql(f"from iceberg_scan({literal(table(bucket_place).metadata_location)})")
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert bucket_lake.expected() == told(rows)


def test_a_bucket_is_read_by_pyiceberg_with_its_own_file_io(
    bucket_lake: Lake, bucket_place: Place, s3_server: S3Server
) -> None:
    publish(bucket_lake, bucket_place)
    reached = {"s3.endpoint": s3_server.url, "s3.region": s3.REGION}
    catalogue = load_catalog("headwater", type="sql", uri=bucket_place.uri, **reached)
    found = catalogue.load_table("silver.authentication")
    assert bucket_lake.expected() == told(found.scan().to_arrow().to_pylist())
    first = found.snapshots()[0].snapshot_id
    assert 3 == len(found.scan(snapshot_id=first).to_arrow())


def test_forgetting_removes_the_files_of_a_bucket(bucket_lake: Lake, bucket_place: Place) -> None:
    publish(bucket_lake, bucket_place)
    assert 3 == len(list(bucket_lake.store.list("iceberg/silver/authentication/data")))
    forget_history(bucket_lake.store, bucket_place)
    assert 2 == len(list(bucket_lake.store.list("iceberg/silver/authentication/data")))
    assert bucket_lake.expected() == read(bucket_place)


def test_a_bucket_without_a_catalogue_says_which_setting_is_missing(bucket_lake: Lake) -> None:
    with pytest.raises(IcebergError, match=r"can hold no SQLite file: set iceberg\.catalog"):
        publish_tables(bucket_lake.store, Place(bucket_lake.store))


def test_glue_is_a_catalogue_too(bucket_lake: Lake, bucket_place: Place, s3_server: S3Server) -> None:
    properties: dict[str, Any] = {"glue.endpoint": s3_server.url, "glue.region": s3.REGION}
    glue = replace(bucket_place, kind="glue", uri=None, properties=properties, namespace="headwater_{layer}")
    publish(bucket_lake, glue)
    assert bucket_lake.expected() == read(glue)
