"""Tests that an analyst selects find what they read: data tests the rows of the lake, unit tests the columns' types."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration import okta_logs
from tests.integration.lakes import headwater

TABLE = f"authentication__{okta_logs.SOURCE}"
TESTS = f"""
models:
  - name: {TABLE}
    columns:
      - name: class_uid
        data_tests:
          - not_null
          - accepted_values: {{arguments: {{values: [1]}}}}
unit_tests:
  - name: sign_ins_are_logons
    model: {TABLE}
    given:
      - input: ref('okta_system_log')
        rows: [{{class_uid: 3002, activity_id: 1}}]
    expect: {{rows: [{{activity_id: 1}}]}}
"""


@pytest.fixture
def project(place: Path, okta_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project with tests of a table that is landed and built."""
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    for words in (("land", okta_logs.SOURCE, okta_logs.delivery(tmp_path / "delivered")), ("build",)):
        said = headwater(*words)
        assert said.code == 0, said.err
    copy = Path(shutil.copytree(okta_project, tmp_path / "project"))
    (copy / f"models/silver/authentication/{TABLE}.yml").write_text(TESTS)
    return copy


def told(project: Path, *selected: str) -> dict[str, str]:
    """How the tests of a selection ended, by the first two words of their names."""
    from dbt.cli.main import dbtRunner  # takes seconds

    words = ["--quiet", "test", "--project-dir", str(project), "--profiles-dir", str(project), "--select", *selected]
    found: Any = dbtRunner().invoke(words).result
    return {
        "_".join(each.node.name.split("_")[:2]): str(each.status)
        for each in found.results
        if each.node.resource_type != "operation"
    }


def test_data_tests_read_rows_and_unit_tests_need_none(project: Path) -> None:
    assert {"not_null": "pass", "accepted_values": "fail"} == told(project, f"{TABLE},test_type:data")
    assert {"sign_ins": "pass"} == told(project, f"{TABLE},test_type:unit")
    assert {"not_null": "pass", "accepted_values": "fail", "sign_ins": "pass"} == told(project, TABLE)
