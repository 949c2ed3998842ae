"""The counterparts, and what the contract suite needs of its own conftest."""

from tests.integration.export.conftest import lake, there, warm
from tests.interop.export.bigquery_there import bigquery_emulator, bigquery_there
from tests.interop.export.snowflake_there import fakesnow, snowflake_there

__all__ = ["bigquery_emulator", "bigquery_there", "fakesnow", "lake", "snowflake_there", "there", "warm"]
