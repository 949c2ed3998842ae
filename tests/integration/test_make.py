"""Every target of the Makefile runs, with its smallest input, in a copy of the repository.

The copy shares .venv, which no test installs anything into: `make -o setup` takes it as it is.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import yaml

from tests.integration.parsed import parsed

TOP = Path(__file__).parents[2]
COUNTERPARTS = [f".venv/counterparts/{name}/.complete" for name in ("fakesnow", "bqemulator")]
INSTALLED = ("setup", ".venv/.spark", *COUNTERPARTS)
STORM, INTEROP = pytest.mark.storm, pytest.mark.interop
DEMO = "--events=2000"
# target, what ARGS says, words of what it prints
RUNS = (
    pytest.param("help", "", "make test-fast", id="help"),
    pytest.param("demo", DEMO, "2 of 2 incidents found", id="demo", marks=STORM),  # 110 s of a core
    pytest.param("demo-s3", DEMO, "not one object has changed", id="demo-s3", marks=STORM),
    pytest.param("demo-exports", DEMO, "counterparts on loopback", id="demo-exports", marks=INTEROP),
    pytest.param("dbt", "--select base_event__okta_system_log", "Done.", id="dbt"),
    pytest.param("bench", "--quick --only landing", "÷ bare COPY", id="bench"),
    pytest.param("bench", "--quick", "indexes add to a build", id="bench, all of it", marks=STORM),
    pytest.param("docs", "--without-dbt", "", id="docs"),
    pytest.param("format", "", "", id="format"),
    pytest.param("check-lint", "", "All checks passed", id="check-lint"),
    pytest.param("check-generated", "", "", id="check-generated"),
    pytest.param("check-commits", "", "", id="check-commits"),
)
# What takes minutes or cannot be done twice: `.ci/run` runs them, here is seen that make knows what to call.
DRY = {
    "setup": "pip install",
    "test-fast": " tests/unit",
    "test": "pytest -n 2",
    "test-all": '-m ""',
    "check": "mypy",
    "check-declared": 'main()" check',
    "fuzz": "tests.fuzz --records 100000 --kinds",
    "pictures": "orchestration.docs.pictures",
    "sbom": "orchestration.deploy.sbom",
    "clean": "rm -rf .headwater",
}


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without what is made from it, with one commit."""
    clone = tmp_path_factory.mktemp("clone") / "headwater"
    made = (".venv", ".git", ".headwater", "target", "logs", "__pycache__", ".*_cache", "*.egg-info")
    shutil.copytree(TOP, clone, ignore=shutil.ignore_patterns(*made), symlinks=True)
    (clone / ".venv").symlink_to((TOP / ".venv").resolve())
    target = parsed(clone / "dbt_project") / "target"
    shutil.copytree(target, target / "lake")  # where `make dbt` looks
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Copy"]):
        subprocess.run([*git, *words], cwd=clone, check=True)
    return clone


def command(*words: str) -> list[str]:
    return ["make", "--no-print-directory", *(word for name in INSTALLED for word in ("-o", name)), *words]


def environment(clone: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(clone), "DAGSTER_HOME": str(clone / ".headwater/dagster"), "COLUMNS": "120"}


def make(clone: Path, *words: str) -> str:
    done = subprocess.run(
        command(*words), cwd=clone, env=environment(clone), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert 0 == done.returncode, done.stdout[-5000:]
    return done.stdout


@pytest.fixture(scope="session")
def demo(clone: Path) -> tuple[Path, str]:
    """The folder of a small demo, and what it printed."""
    return clone / ".headwater/demo", make(clone, "demo", f"ARGS={DEMO}")


@pytest.mark.parametrize(("target", "arguments", "printed"), RUNS)
def test_the_target_runs(
    target: str, arguments: str, printed: str, clone: Path, request: pytest.FixtureRequest
) -> None:
    if target == "demo-exports":
        demo_home = request.getfixturevalue("demo")[0]
        for part in ("estate", "lake"):  # they are there already: what is left to do is the exporting
            shutil.copytree(demo_home / part, demo_home.with_name(target) / part)
    before = {path: path.read_bytes() for path in clone.glob("*/**/*.py")} if target == "format" else {}
    said = request.getfixturevalue("demo")[1] if target == "demo" else make(clone, target, f"ARGS={arguments}")
    assert printed in said
    assert [] == [path for path, text in before.items() if path.read_bytes() != text], "is formatted already"


@pytest.mark.parametrize("target", DRY)
def test_make_knows_what_to_call(target: str, clone: Path) -> None:
    forced = ("-W", "requirements.lock") if target == "setup" else ()
    done = subprocess.run(
        ["make", "-n", *forced, target] if forced else command("-n", target), cwd=clone, capture_output=True, text=True
    )
    assert (0, True) == (done.returncode, DRY[target] in done.stdout), done.stderr


def test_dev_answers_until_it_is_stopped(clone: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = clone / "dev.log"
    with log.open("w") as out:
        words = command("dev", f"ARGS=--port {port}")
        dev = subprocess.Popen(words, cwd=clone, env=environment(clone), stdout=out, stderr=out, start_new_session=True)
    try:
        until = time.monotonic() + 120
        answered = False
        while not answered and dev.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
            with suppress(requests.ConnectionError):
                answered = requests.get(f"http://127.0.0.1:{port}/server_info", timeout=10).ok
        assert answered, log.read_text()[-3000:]
    finally:
        os.killpg(dev.pid, 2)
        dev.wait(60)


def test_every_target_is_tried(clone: Path) -> None:
    phony = re.findall(r"^\.PHONY: ([a-z].*)$", (TOP / "Makefile").read_text(), re.MULTILINE)
    assert set(phony[0].split()) <= {each.values[0] for each in RUNS} | set(DRY) | {"dev"}


def test_pre_commit_runs_what_check_runs() -> None:
    hooks = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    checks = re.search(r"^CHECKS := (.*)$", (TOP / "Makefile").read_text(), re.MULTILINE)
    assert checks and checks[1].split() == [hook["id"] for hook in hooks]
    assert all(hook["entry"].endswith((hook["id"], "commit-subjects")) for hook in hooks)


@pytest.mark.parametrize(("letters", "code"), [(72, 0), (73, 1)])
def test_a_subject_has_at_most_72_characters(letters: int, code: int, clone: Path, tmp_path: Path) -> None:
    (tmp_path / "message").write_text("x" * letters + "\n\n" + "A body may have longer lines. " * 9)
    words = [str(clone / ".ci/commit-subjects"), str(tmp_path / "message")]
    assert code == subprocess.run(words, capture_output=True, check=False).returncode
