"""One small estate, landed and built by the whole dbt project with its context, for all tests of this folder."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.demo.context import context_settings, load_context
from orchestration.demo.estate import Arguments, generate
from orchestration.settings import load_settings, open_lake
from tests.integration.lakes import headwater
from tests.integration.parsed import copied, parsed

PLACES = {"aws_cloudtrail": "cloudtrail", "okta_system_log": "okta", "windows_event": "windows"}


@contextmanager
def _used(place: Path) -> Iterator[None]:
    """Commands use the lake of a place, and the project that built it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dbt.project.PROJECT", place / "dbt")
        patch.setenv("HEADWATER_CONFIG", str(place / "headwater.yml"))
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the estate, of the project, and of the lake that lies beside them."""
    place = tmp_path_factory.mktemp("estate")
    generate(place / "estate", Arguments(events=3000, hours=4))
    parsed(copied(place / "dbt"))
    (place / "headwater.yml").write_text(yaml.safe_dump({"lake": "lake", **context_settings()}))
    with _used(place):
        load_context(open_lake(load_settings()))
        for source, folder in PLACES.items():
            assert headwater("land", source, place / "estate" / folder).code == 0
        built = headwater("build")
        assert built.code == 0, built.err
    return place


@pytest.fixture(scope="module")
def estate(built: Path) -> Iterator[Path]:
    """The same folder, used by commands; what it holds stays as it is."""
    with _used(built):
        yield built


@pytest.fixture
def own_estate(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of that folder for a test that writes to the lake."""
    place = Path(shutil.copytree(built, tmp_path / "estate", ignore=shutil.ignore_patterns("dbt")))
    (place / "dbt").symlink_to(built / "dbt")
    with _used(place):
        yield place


@pytest.fixture(scope="module")
def truth(estate: Path) -> dict[str, Any]:
    """What the generator counted and planted."""
    told: dict[str, Any] = json.loads((estate / "estate/truth.json").read_text())
    return told
