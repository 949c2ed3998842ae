"""Files, Security Lake, Elasticsearch and Splunk keep what every destination promises."""

import pytest

from lake.export.destination import kinds
from tests.integration.export import contract
from tests.integration.export.adapters import ADAPTERS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    contract.parametrize(metafunc, ADAPTERS)


class TestContract(contract.Contract):
    pass


def test_every_kind_is_held_to_the_contract() -> None:
    from tests.interop.export.counterparts import ADAPTERS as COUNTERPARTS

    assert kinds() == sorted({each.kind for each in (*ADAPTERS, *COUNTERPARTS)})
