"""The lakes of the tests of deliveries, and the servers that they go to."""

from tests.lake.delivery.conftest import any_lake, lake
from tests.lake.export.bigquery_there import bigquery_emulator, bigquery_there
from tests.lake.export.snowflake_there import fakesnow, snowflake_there

__all__ = ["any_lake", "bigquery_emulator", "bigquery_there", "fakesnow", "lake", "snowflake_there"]
