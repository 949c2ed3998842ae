"""The Iceberg tables made of silver hold its rows and types, for DuckDB and for pyiceberg; JSON is text there."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from pyiceberg.table import StaticTable

from lake.base.sql import literal
from lake.iceberg import Place, publish_tables, table_status
from lake.storage import duck
from lake.storage.store import LocalStore
from tests.interop.conftest import CLASSES, Silver, ordered
from tests.interop.type_trees import Tree, of_arrow, of_duckdb, with_json_as


@pytest.fixture(scope="module")
def tables(silver: Silver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Every table's current metadata file, published to a folder of its own."""
    lake = LocalStore(silver.path)
    place = Place(LocalStore(tmp_path_factory.mktemp("iceberg")), folder="")
    assert [] == [each.failed for each in publish_tables(lake, place, CLASSES) if each.failed or each.left]
    yield {each.table.split("/")[1]: each.metadata for each in table_status(lake, place)}


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
    types = expected.values()
    rows = [dict(zip(row, map(as_pyiceberg, row.values(), types), strict=True)) for row in silver.rows(table)]
    assert rows == ordered(found.to_pylist())


def as_pyiceberg(value: Any, type_: Tree) -> Any:
    """A value as pyiceberg's scan gives it: a list of structs that is NULL comes as an empty one.

    That is pyiceberg's (apache/iceberg-python issue 3833); the files hold NULL, as DuckDB's reading of them shows.
    """
    if isinstance(type_, tuple) and isinstance(type_[1], dict):
        return [as_pyiceberg(each, type_[1]) for each in value or ()]
    if isinstance(type_, dict) and value is not None:
        return {name: as_pyiceberg(value[name], inner) for name, inner in type_.items()}
    return value
