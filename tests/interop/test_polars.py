"""Polars reads silver as it is: JSON comes as bytes, everything else as it stands in the file."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.interop.conftest import CLASSES, Silver, ordered
from tests.interop.type_trees import of_polars, with_json_as

FOLDERS = {name: pl.String for name in ("source", "date", "hour")}


def read(files: list[str], **options: Any) -> pl.DataFrame:
    """The table as lake/README.md says to read it: files of different ages put together by name."""
    frames = [pl.scan_parquet(file, hive_partitioning=True, hive_schema=FOLDERS, **options) for file in files]
    return pl.concat(frames, how="diagonal_relaxed").collect()


def as_text(value: Any) -> Any:
    """JSON's bytes as text."""
    if isinstance(value, dict):
        return {name: as_text(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_text(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("table", CLASSES)
def test_polars_reads_the_rows_and_types_that_headwater_reads(silver: Silver, table: str) -> None:
    found = read(sorted(map(str, Path(silver.folder(table)).rglob("*.parquet"))))
    expected = {name: with_json_as("bytes", tree) for name, tree in silver.types(table).items()}
    assert expected == {name: of_polars(type_) for name, type_ in found.schema.items()}
    assert silver.rows(table) == ordered([as_text(row) for row in found.to_dicts()])
