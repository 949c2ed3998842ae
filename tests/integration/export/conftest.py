"""The lakes of the tests of deliveries, and the servers that they go to."""

from tests.integration.export.bigquery_there import bigquery_emulator, bigquery_there
from tests.integration.export.snowflake_there import fakesnow, snowflake_there
from tests.unit.export.conftest import any_lake, lake

__all__ = ["any_lake", "bigquery_emulator", "bigquery_there", "fakesnow", "lake", "snowflake_there"]
