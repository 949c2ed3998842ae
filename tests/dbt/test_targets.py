"""dbt's own commands in the project's folder: `dev` tries models and publishes nothing, `lake` publishes."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration import okta_logs
from tests.integration.lakes import headwater, leftovers, marks

TABLE = f"authentication__{okta_logs.SOURCE}"


@pytest.fixture
def lake(place: Path, okta_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake in which something is landed and nothing is built."""
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    said = headwater("land", okta_logs.SOURCE, okta_logs.delivery(tmp_path / "delivered"))
    assert said.code == 0, said.err
    return tmp_path / "lake"


def dbt(project: Path, target: Path, *words: str) -> Any:
    """Run a command as a shell would; return dbt's results."""
    from dbt.cli.main import dbtRunner  # takes seconds

    places = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    done: Any = dbtRunner().invoke([*words, *places])
    assert done.success, done.exception or [each.message for each in done.result]
    return done.result


def test_only_the_target_lake_publishes(
    lake: Path, okta_project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = marks(lake, ".")
    dbt(okta_project, tmp_path / "target", "run", "--select", TABLE)
    assert f"{TABLE}: 6 rows of 2026-03-02T05; not published (target dev)" in capfd.readouterr().out
    shown = dbt(okta_project, tmp_path / "target", "show", "--select", TABLE, "--limit", "2")
    assert len(shown.results[0].agate_table.rows) == 2
    assert (marks(lake, "."), leftovers(lake)) == (before, [])
    dbt(okta_project, tmp_path / "lake target", "run", "--select", TABLE, "--target", "lake")
    assert len(list((lake / "silver/authentication").rglob("part.parquet"))) == 3
