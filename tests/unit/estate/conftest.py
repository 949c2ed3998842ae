"""One small estate for all tests of this folder."""

from pathlib import Path
from typing import Any

import pytest

from orchestration.demo.estate import Arguments, generate

SMALL = Arguments(seed=11, events=5000)


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("estate")
    generate(out, SMALL)
    return out


@pytest.fixture(scope="session")
def truth(estate: Path) -> dict[str, Any]:
    return generate(estate, SMALL)  # a second run of the same arguments returns the first one's truth
