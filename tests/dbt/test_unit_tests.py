"""The unit tests that stand beside the mappings pass, and every mapping has some."""

from pathlib import Path

import pytest
import yaml

from orchestration.dbt.invoke import invoke
from orchestration.dbt.project import load_project
from orchestration.settings import PROJECT

SILVER = PROJECT / "models" / "silver"


def test_the_unit_tests_of_the_mappings_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    words = ["--select", "test_type:unit", "--no-write-json", "--no-populate-cache"]
    project = load_project()
    done = invoke("test", PROJECT, project.target, *words, manifest=project.dbt_manifest())
    assert done.result is not None, done.exception
    wrong = {each.node.name: each.message for each in done.result if each.status not in ("pass", "success")}
    assert ({}, True) == (wrong, done.success)
    assert len(list(done.result)) >= 57


def test_every_mapping_has_a_unit_test() -> None:
    tested = {
        each["model"]
        for path in SILVER.glob("*/*.yml")
        for each in (yaml.safe_load(path.read_text()) or {}).get("unit_tests", [])
    }
    mappings = {path.stem for path in SILVER.glob("*/*__*.sql") if path.parent.name != "dispositions"}
    assert mappings - tested == set()
