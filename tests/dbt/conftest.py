"""Places for lakes that the whole dbt project builds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of a module's own; commands use the lake in it, and nothing of this machine's settings."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("HEADWATER_", "DBT_"))]:
            patch.delenv(name)
        patch.setenv("HEADWATER_LAKE", str(folder / "lake"))
        patch.chdir(folder)
        yield folder
