"""Lakes, servers and the warm process of the tests of exports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.export.contract import Adapter, started
from tests.integration.export.warm import WarmProcess
from tests.simulators.elastic import ElasticServer
from tests.unit.export.conftest import lake
from tests.unit.export.lakes import SmallLake
from tests.unit.lake.stores import opened

__all__ = ["lake"]


@pytest.fixture
def there(lake: SmallLake, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Adapter]:
    """The adapter that a test is for, beside `lake`."""
    with started(request.param, lake, monkeypatch, request) as adapter:
        yield adapter


@pytest.fixture
def elastic_server() -> Iterator[ElasticServer]:
    with ElasticServer() as running:
        yield running


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmProcess]:
    with WarmProcess(tmp_path_factory.mktemp("warm")) as process:
        yield process


@pytest.fixture
def bucket_lake(tmp_path: Path, request: pytest.FixtureRequest) -> SmallLake:
    return SmallLake(opened("bucket", tmp_path, request)(), tmp_path)
