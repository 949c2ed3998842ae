"""pyarrow reads silver as it is: a dataset over its folders."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from tests.interop.conftest import CLASSES, Silver, ordered
from tests.interop.type_trees import of_arrow, with_json_as

FOLDERS = ds.partitioning(pa.schema([(name, pa.string()) for name in ("source", "date", "hour")]), flavor="hive")


def read(folder: str, filesystem: pyarrow.fs.FileSystem | None = None) -> pa.Table:
    """The table as lake/README.md says to read it: the schemas of all files make one."""
    found = ds.dataset(folder, format="parquet", partitioning=FOLDERS, filesystem=filesystem)
    schemas = [fragment.physical_schema for fragment in found.get_fragments()]
    every = pa.unify_schemas([*schemas, found.partitioning.schema], promote_options="permissive")
    return found.replace_schema(every).to_table()


@pytest.mark.parametrize("table", CLASSES)
def test_pyarrow_reads_the_rows_and_types_that_headwater_reads(silver: Silver, table: str) -> None:
    found = read(silver.folder(table))
    expected = {name: with_json_as("text", tree) for name, tree in silver.types(table).items()}
    assert expected == {field.name: of_arrow(field.type) for field in found.schema}
    assert silver.rows(table) == ordered(found.to_pylist())


def test_a_file_read_alone_says_that_json_is_json(silver: Silver) -> None:
    file = f"{silver.folder('authentication')}/source=okta_system_log/date=2026-03-02/hour=20/part.parquet"
    assert ["json", "text"] == [
        of_arrow(pq.ParquetFile(file, arrow_extensions_enabled=told).schema_arrow.field("unmapped").type)
        for told in (True, False)
    ]
