"""DuckDB reads silver as it is: by folders, without Headwater."""

import duckdb
import pytest

from lake.base.sql import literal
from tests.interop.conftest import BUILT_BY_DBT, CLASSES, Silver, ordered
from tests.interop.type_trees import of_duckdb


def read(con: duckdb.DuckDBPyConnection, folder: str) -> duckdb.DuckDBPyRelation:
    """The table as lake/README.md says to read it."""
    files = literal(f"{folder}/*/*/*/*.parquet")
    return con.sql(
        f"from read_parquet({files}, union_by_name = true, hive_partitioning = true, hive_types_autocast = false)"
    )


@pytest.mark.parametrize("table", CLASSES)
def test_duckdb_reads_the_rows_and_types_that_headwater_reads(silver: Silver, table: str) -> None:
    with duckdb.connect() as con:
        found = read(con, silver.folder(table))
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        assert silver.types(table) == dict(zip(found.columns, map(of_duckdb, found.types), strict=True))
        assert silver.rows(table) == ordered(rows)


@pytest.mark.parametrize("table", BUILT_BY_DBT)
def test_the_files_made_for_these_tests_are_like_those_that_builds_write(silver: Silver, table: str) -> None:
    day = f"{silver.folder(table)}/source=okta_system_log/date=2026-03-02"
    described = "select * exclude (file_name) from parquet_schema(?) where name <> 'duckdb_schema'"
    with duckdb.connect() as con:
        built = con.execute(described, [f"{day}/hour=05/part.parquet"]).fetchall()
        assert built == con.execute(described, [f"{day}/hour=20/part.parquet"]).fetchall()


def test_every_kind_of_value_is_among_the_rows(silver: Silver) -> None:
    rows = {row["metadata"]["uid"]: row for row in silver.rows("authentication")}
    assert 18 <= len(rows)
    least, most, none = (rows[f"authentication-today-{kind}"] for kind in ("least", "extreme", "nothing"))
    assert (-(2**63), 2**63 - 1, None) == (least["time"], most["time"], none["time"])
    assert ("", None, []) == (
        rows["authentication-today-emptiness"]["message"],
        none["message"],
        rows["authentication-today-emptiness"]["attacks"],
    )
    assert [None] == [each for each in most["attacks"] if each is None] and none["attacks"] is None
    assert {"note": "' '".strip("'"), "parts": [1, None]} == rows["authentication-later-least"]["later_attribute"]
    assert least["later_attribute"] is None and " " == rows["authentication-later-least"]["metadata"]["later_name"]
