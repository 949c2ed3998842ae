"""A lake in a folder, one in a bucket, and one of each kind after the other."""

from pathlib import Path

import pytest

from lake.storage.store import LocalStore
from tests.unit.export.lakes import SmallLake
from tests.unit.lake.stores import KINDS, opened


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    return SmallLake(LocalStore(tmp_path / "lake"), tmp_path)


@pytest.fixture(params=KINDS)
def any_lake(request: pytest.FixtureRequest, tmp_path: Path) -> SmallLake:
    return SmallLake(opened(request.param, tmp_path, request)(), tmp_path)
