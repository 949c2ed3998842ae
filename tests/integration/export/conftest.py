"""The lakes of the tests of deliveries, and the servers that they go to."""

from pathlib import Path

import pytest

from tests.integration.export.bigquery_there import bigquery_emulator, bigquery_there
from tests.integration.export.snowflake_there import fakesnow, snowflake_there
from tests.unit.export.conftest import lake
from tests.unit.export.lakes import SmallLake
from tests.unit.lake.stores import KINDS, opened

__all__ = ["bigquery_emulator", "bigquery_there", "fakesnow", "lake", "snowflake_there"]


@pytest.fixture(params=KINDS)
def any_lake(request: pytest.FixtureRequest, tmp_path: Path) -> SmallLake:
    return SmallLake(opened(request.param, tmp_path, request)(), tmp_path)
