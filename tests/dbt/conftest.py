"""Places for lakes that the whole dbt project builds; the project is parsed once for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt keeps what it has parsed."""
    return tmp_path_factory.mktemp("dbt") / "target"


@pytest.fixture(scope="module")
def place(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of a module's own; commands use the lake in it, and nothing of this machine's settings."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("HEADWATER_", "DBT_"))]:
            patch.delenv(name)
        patch.setenv("HEADWATER_LAKE", str(folder / "lake"))
        patch.setenv("DBT_TARGET_PATH", str(target))
        patch.setenv("DBT_LOG_PATH", str(folder / "logs"))
        patch.chdir(folder)
        yield folder
