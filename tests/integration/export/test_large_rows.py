"""Rows that are large for the memory that exports may take."""

import pytest

from lake.export.errors import ExportError
from tests.unit.export.lakes import EVENT, SmallLake, export


def test_large_values_fit_into_little_memory(lake: SmallLake) -> None:
    """Row groups of 20,480 such rows (20 kB each) would not fit: one is held several times while it is made."""
    lake.silver(rows=20_000, columns=f"{EVENT}, repeat(md5(n::varchar), 625) as large")
    reader = lake.read(export(columns=["large"]), memory_bytes=550 << 20)
    assert 20_000 == reader.rows


def test_rows_that_fit_into_no_memory_are_told(lake: SmallLake) -> None:
    lake.silver(rows=200, columns=f"{EVENT}, repeat(md5(n::varchar), 32_000) as large")
    with pytest.raises(ExportError, match=r"do not fit into the memory .* give them more"):
        lake.read(export(), memory_bytes=100 << 20)
