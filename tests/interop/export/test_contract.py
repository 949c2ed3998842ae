"""BigQuery and Snowflake keep what every destination promises."""

import pytest

from tests.integration.export import contract
from tests.interop.export.counterparts import ADAPTERS

pytestmark = pytest.mark.interop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    contract.parametrize(metafunc, ADAPTERS)


class TestContract(contract.ContractOfTables):
    pass
