"""A lake in a folder."""

from pathlib import Path

import pytest

from lake.storage.store import LocalStore
from tests.unit.export.lakes import SmallLake


@pytest.fixture
def lake(tmp_path: Path) -> SmallLake:
    return SmallLake(LocalStore(tmp_path / "lake"), tmp_path)
