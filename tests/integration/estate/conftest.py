"""One small estate, landed and built by the whole dbt project with its context, for all tests of this folder."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.demo.context import context_settings, load_context
from orchestration.demo.estate import Arguments, generate
from orchestration.settings import PROJECT, load_settings
from orchestration.steps.lakes import open_lake
from tests.integration.lakes import headwater

PLACES = {"aws_cloudtrail": "cloudtrail", "okta_system_log": "okta", "windows_event": "windows"}


@pytest.fixture(scope="package")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the estate and of the lake that lies beside it; the project stays the one that built it."""
    place = tmp_path_factory.mktemp("estate")
    generate(place / "estate", Arguments(events=3000, hours=4))
    unneeded = shutil.ignore_patterns("target", "logs", ".user.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dbt.run.PROJECT", Path(shutil.copytree(PROJECT, place / "dbt", ignore=unneeded)))
        (place / "headwater.yml").write_text(yaml.safe_dump({"lake": "lake", **context_settings()}))
        patch.setenv("HEADWATER_CONFIG", str(place / "headwater.yml"))
        patch.delenv("HEADWATER_LAKE", raising=False)
        load_context(open_lake(load_settings()))
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
