"""One small lake that all command line tests look at; those that write make their own."""

import os
from pathlib import Path

import pytest

from tests.integration import okta_logs
from tests.integration.lakes import headwater


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine reach a test; what a test writes without saying where goes to its own folder."""
    for name in [name for name in os.environ if name.startswith("HEADWATER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def _okta_lake(tmp_path_factory: pytest.TempPathFactory, okta_project: Path) -> Path:
    """A landed and built lake of `okta_logs.delivery`."""
    place = tmp_path_factory.mktemp("cli")
    delivered = okta_logs.delivery(place / "delivered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dbt.project.PROJECT", okta_project)
        patch.setenv("HEADWATER_LAKE", str(place / "lake"))
        assert headwater("land", okta_logs.SOURCE, delivered).code == 0
        built = headwater("build", "--source", okta_logs.SOURCE)
        assert built.code == 0, built.err
    return place / "lake"


@pytest.fixture
def okta_lake(_okta_lake: Path, okta_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The built lake, as the one that commands use."""
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    monkeypatch.setenv("HEADWATER_LAKE", str(_okta_lake))
    return _okta_lake
