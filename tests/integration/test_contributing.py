"""CONTRIBUTING.md is followed: its files are written into a copy of the repository, and what they add works."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.parsed import parsed
from tests.integration.started import started

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "lake", "orchestration", "dbt_project")
# A block of code, and the file that the last path in backticks before it names.
BLOCK = re.compile(r"`([\w/.-]+\.(?:yaml|yml|sql|csv|py))`[^`]*?\n\n```\w+\n(.*?)```", re.DOTALL)
LOGINS = (
    '{"id": "1", "at": "2026-03-02T05:00:01Z", "kind": "login", "user": "ann", "ip": "192.0.2.7", "ok": true}\n'
    '{"id": "2", "at": "2026-03-02T05:00:09Z", "kind": "login", "user": "ben", "ip": "192.0.2.8", "ok": false}\n'
    '{"id": "2", "at": "2026-03-02T05:00:09Z", "kind": "login", "user": "ben", "ip": "192.0.2.8", "ok": false}\n'
    '{"id": "3", "kind": "login"}\n'
    '{"id": "4", "at": "2026-03-02T05:00:11Z", "kind": "odd"}\n'
)
Run = Callable[..., str]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with what CONTRIBUTING.md adds."""
    top = tmp_path_factory.mktemp("contributing") / "headwater"
    left_out = shutil.ignore_patterns("__pycache__", "target", "logs")
    for room in ROOMS:
        shutil.copytree(TOP / room, top / room, ignore=left_out)
    (top / "pyproject.toml").touch()  # as in a checkout: dbt may write beside its project
    parsed(top / "dbt_project")  # only what is added is parsed then
    blocks = dict(BLOCK.findall((TOP / "CONTRIBUTING.md").read_text()))
    assert len(blocks) == 7
    for name, text in blocks.items():
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.read_text() + text if name.endswith(".csv") else text)
    view = top / "dbt_project/models/silver/authentication/authentication.sql"
    view.write_text(view.read_text().replace("([\n", '([\n    ref("authentication__acme_login"),\n', 1))
    return top


@pytest.fixture(scope="module")
def run(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run `headwater`, or a module of the copy, in an empty folder; return what it prints."""
    here = tmp_path_factory.mktemp("elsewhere")
    (here / "logins.ndjson").write_text(LOGINS)
    (here / "headwater.yml").write_text("destinations: {files: {type: drop_folder, root: drop}}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER", "DBT", "DAGSTER"))}
    kept["HEADWATER_WARM_SECONDS"] = "0"

    def call(*words: str) -> str:
        done = subprocess.run(
            [*start, *words],
            cwd=here,
            env={**kept, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    with started(copy) as start:
        call("-m", "ingest.contracts.generate")
        yield call


@pytest.fixture(scope="module")
def built(run: Run) -> Run:
    """The example's five records are landed and built."""
    run("land", "acme_login", "logins.ndjson")
    run("build")
    return run


def test_a_source_and_its_mapping_publish_every_event(built: Run) -> None:
    (source,) = (row for row in json.loads(built("balance", "--json"))["sources"] if row["source"] == "acme_login")
    counted = {name: source[name] for name in ("read", "landed", "quarantined", "duplicates", "published")}
    assert {"read": 5, "landed": 4, "quarantined": 1, "duplicates": 1, "published": 3} == counted
    others = built("query", "select unmapped from silver.base_event", "--json")
    assert ["odd"] == [row["unmapped"]["kind"] for row in json.loads(others)]
    question = "select user.name, status from silver.authentication order by all"
    assert ["ann", "Success", "ben", "Failure"] == re.findall(r"ann|ben|Success|Failure", built("query", question))


def test_its_unit_tests_pass(built: Run) -> None:
    told = json.loads(built("test", "authentication", "--source", "acme_login", "--json"))
    assert {"pass"} == {each["status"] for each in told}


def test_a_destination_takes_the_hours_and_is_read_back(built: Run) -> None:
    said = json.loads(built("export", "push", "--json"))
    assert said
    assert "same" in built("export", "verify", "--json")
