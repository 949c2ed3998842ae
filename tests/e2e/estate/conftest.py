"""One small estate, landed and built by the whole dbt project, for all tests of this folder."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.estate import Arguments, generate
from orchestration.settings import PROJECT
from tests.e2e.lakes import headwater

PLACES = {"aws_cloudtrail": "cloudtrail", "okta_system_log": "okta", "windows_event": "windows"}


@pytest.fixture(scope="package")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the estate and of the lake that lies beside it; the project stays the one that built it."""
    place = tmp_path_factory.mktemp("estate")
    generate(place / "estate", Arguments(events=3000, hours=4))
    unneeded = shutil.ignore_patterns("target", "logs", ".user.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.building.PROJECT", Path(shutil.copytree(PROJECT, place / "dbt", ignore=unneeded)))
        patch.setenv("HEADWATER_LAKE", str(place / "lake"))
        for source, folder in PLACES.items():
            assert headwater("land", source, place / "estate" / folder).code == 0
        built = headwater("build")
        assert built.code == 0, built.err
        yield place


@pytest.fixture(scope="package")
def truth(estate: Path) -> dict[str, Any]:
    """What the generator counted and planted."""
    told: dict[str, Any] = json.loads((estate / "estate/truth.json").read_text())
    return told
