"""DuckDB reads a lake's addresses, also in a bucket, with nothing downloaded and no key told."""

from pathlib import Path

import duckdb
import pytest

from lake.storage import duck
from lake.storage.aws import credentials
from lake.storage.s3 import S3Store
from lake.storage.store import AwsAccess
from tests.unit.lake.stores import KINDS, opened


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_reads_what_the_store_has(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = opened(kind, tmp_path, request)()
    for hour in ("01", "02"):
        path = tmp_path / "one.parquet"
        duckdb.sql(f"copy (select {int(hour)} as n) to '{path}'")
        store.write(f"silver/x y/date=2026-03-02/hour={hour}/part.parquet", path.read_bytes())
    files = store.url("silver/x y/date=*/hour=*/*.parquet")
    with duck.connect(store) as con:
        assert con.execute(
            "select n, hour from read_parquet(?, hive_partitioning = true, hive_types_autocast = false) order by n",
            [files],
        ).fetchall() == [(1, "01"), (2, "02")]


def test_the_extension_is_the_packages_own_file() -> None:
    file = duck.packaged("httpfs")
    assert file is not None
    assert file.parent.name == f"v{duckdb.__version__}"
    with duckdb.connect() as con, pytest.raises(duck.ExtensionMissing, match="duckdb-extension-nosuch=="):
        duck.load_extension(con, "nosuch")


def test_no_key_is_told(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret'; drop")
    store = S3Store(f"s3://{s3_bucket}/x")
    assert "very secret" not in repr(credentials(AwsAccess()))
    with duck.connect(store) as con:
        told = str(con.execute("from duckdb_secrets()").fetchall())
        with pytest.raises(duckdb.Error) as refused:
            con.execute("select * from read_parquet(?)", [store.url("nowhere.parquet")])
    assert "very secret" not in told + str(refused.value)


def test_a_long_run_gets_the_keys_of_now(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(f"s3://{s3_bucket}/x")
    with duckdb.connect() as con:
        signed = duck.Signed(con, store)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
        signed.renew()
        assert "key_id=renewed" in str(con.execute("from duckdb_secrets()").fetchall())
