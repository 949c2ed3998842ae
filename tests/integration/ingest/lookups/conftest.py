"""Lakes, clocks and a key for the tests of lookups."""

from pathlib import Path

import pytest

from lake.storage.store import LocalStore
from tests.integration.ingest.lookups.waiting import KEY, KEY_ENV, Time


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of every simulator, in the environment alone; no proxy and no .netrc of the machine is in the way."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(KEY_ENV, KEY)
    return KEY
