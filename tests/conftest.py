"""Fixtures that every room's tests may use."""

from pathlib import Path

import pytest

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real logs beside the repository; tests that need it are skipped where it is absent."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("real logs are absent: expected the folder ../shared/data beside the repository")
    return _SHARED_DATA
