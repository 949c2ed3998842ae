"""The Iceberg tables made of silver hold its rows and types, for DuckDB and for pyiceberg; JSON is text there."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from pyiceberg.table import StaticTable

from lake import duck
from lake.iceberg import Place, publish_tables, standings
from lake.registry import literal
from lake.store import LocalStore
from tests.readers.conftest import CLASSES, Silver, ordered
from tests.readers.type_trees import of_arrow, of_duckdb, with_json_as

pytestmark = pytest.mark.xdist_group("readers")


@pytest.fixture(scope="module")
def tables(silver: Silver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Every table's current metadata file, published to a folder of its own."""
    lake = LocalStore(silver.path)
    place = Place(LocalStore(tmp_path_factory.mktemp("iceberg")), folder="")
    assert [] == [each.failed for each in publish_tables(lake, place, CLASSES) if each.failed or each.left]
    yield {each.table.split("/")[1]: each.metadata for each in standings(lake, place)}


@pytest.mark.parametrize("table", CLASSES)
def test_duckdb_reads_the_iceberg_table_as_silver(silver: Silver, tables: dict[str, str], table: str) -> None:
    with duckdb.connect() as con:
        for name in ("avro", "iceberg"):
            duck.load_extension(con, name)
        found = con.sql(f"from iceberg_scan({literal(tables[table])})")
        types = dict(zip(found.columns, map(of_duckdb, found.types), strict=True))
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert {name: with_json_as("text", tree) for name, tree in silver.types(table).items()} == types
    assert silver.rows(table) == ordered(rows)


@pytest.mark.parametrize("table", CLASSES)
def test_pyiceberg_reads_the_iceberg_table_as_silver(silver: Silver, tables: dict[str, str], table: str) -> None:
    found: Any = StaticTable.from_metadata(tables[table]).scan().to_arrow()
    expected = {name: with_json_as("text", tree) for name, tree in silver.types(table).items()}
    assert expected == {field.name: of_arrow(field.type) for field in found.schema}
    assert silver.rows(table) == ordered(found.to_pylist())
