"""Lakes for the tests of the whole way: each test gets its own folder."""

from pathlib import Path

import pytest

from tests.integration import okta_logs


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, okta_project: Path) -> Path:
    """An empty lake that the command line uses, built with `okta_project`."""
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("HEADWATER_THREADS", "2")
    monkeypatch.delenv("HEADWATER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lake"


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    """A folder of Okta objects: see `okta_logs.delivery`."""
    return okta_logs.delivery(tmp_path / "delivered")
