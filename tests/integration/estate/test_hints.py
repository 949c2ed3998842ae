"""Every command that a README or a message of the product names works as it stands, on the small estate.

Fenced blocks of shell in READMEs, the demo's farewell, and what stands in backticks in the product's own texts.
"""

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from orchestration.cli import app, load
from orchestration.demo import local
from tests.integration.estate.conftest import _used
from tests.integration.lakes import headwater
from tests.integration.test_make import DRY, RUNS

TOP = Path(__file__).parents[3]
READMES = [TOP / "CONTRIBUTING.md", *sorted(TOP.glob("README.md")), *sorted(TOP.glob("[a-z]*/**/README.md"))]
# What is not run here, by how it begins, and why.
ELSEWHERE = {
    "docker ": "needs Docker",
    "kubectl ": "needs a cluster",
    "helm ": "needs a cluster",
    "dagster dev": "a server; `make dev` is tried in tests/integration/test_make.py",
    "../.venv/bin/dbt ": "dbt alone: `make dbt` is tried in tests/integration/test_make.py",
    "cd ": "the commands after it say what is meant",
    "source ": "an environment that is there already",
    "export ": "the lake of the test stays the one in use",
    "cp headwater.env.example": "files that are to be filled in",
    "chmod 600 headwater.env": "files that are to be filled in",
    "cp headwater.example.yml": "files that are to be filled in",
    "headwater preview": "starts a process of its own: tests/integration/cli/test_preview.py",
    "headwater test": "starts a process of its own: tests/integration/cli/test_preview.py",
    "headwater shell": "a prompt: tests/integration/cli/test_query.py",
}
# Commands with values of somebody else's, or of settings that are not here: how they end, and what they say.
ENDS = {
    "headwater reference show assets lap-7": (1, "nothing is known of 'lap-7'"),
    "headwater reference show indicators 198.51.100.7": (1, "nothing is known of '198.51.100.7'"),
    "headwater lookup --dry-run": (2, "no lookup provider is set"),
    "headwater lookup status": (2, "no lookup provider is set"),
    "headwater lookup": (2, "no lookup provider is set"),
    "headwater export status": (2, "not configured: add it under `destinations`"),
}


def blocks(document: Path) -> Iterator[str]:
    """Yield the commands of the fenced blocks of shell of a document, one after another."""
    for kind, block in re.findall(r"^```(sh|bash|console)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        asked = [line[2:] for line in lines if line.startswith("$ ")] if kind == "console" else lines
        yield from (each for line in asked for each in single(line))


def single(line: str) -> Iterator[str]:
    """Yield the commands of a line of shell, without what it says after `#`, and where headwater lies."""
    for part in line.split(" && "):
        if command := shlex.join(shlex.split(part, comments=True)):
            yield re.sub(r"^(\S*/)?headwater(?= )", "headwater", command)


def demo_hints(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the commands that the demo ends with."""
    local.farewell({"retro": [{"indicator": "192.0.2.66", "found_later": [{"uid": "UID"}]}]})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    return [command for line in lines for command in single(line)]


def texts() -> Iterator[tuple[str, str]]:
    """Yield (file, command) of what stands in backticks in texts of the product; `{}` stands for a value."""
    for room in ("ingest", "lake", "orchestration"):
        for file in sorted((TOP / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                text = "".join(
                    each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else "{}"
                    for each in parts
                    if isinstance(each, ast.Constant | ast.FormattedValue)
                )
                for command in re.findall(r"`(headwater [^`]+)`", text):
                    yield f"{file.relative_to(TOP)}", command


@pytest.fixture(scope="module")
def place(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the estate, with the files that READMEs name."""
    home = tmp_path_factory.mktemp("home")
    place = Path(shutil.copytree(built, home / "estate", ignore=shutil.ignore_patterns("dbt")))
    (place / "dbt").symlink_to(built / "dbt")
    (place / "AWSLogs").symlink_to(built / "estate/cloudtrail")
    (place / "vpn.txt").write_text("192.0.2.0/24\n")
    with _used(place), pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.chdir(place)
        yield place


@pytest.mark.parametrize("document", READMES, ids=lambda path: str(path.relative_to(TOP)))
def test_the_commands_of_a_readme_work(document: Path, place: Path) -> None:
    for command in blocks(document):
        works(command, place)


def test_the_demo_s_own_hints_work(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uid = headwater("query", "--json", "select metadata.uid as uid from silver.authentication limit 1").json[0]["uid"]
    hints = demo_hints(capsys)
    assert {"make dev", "headwater tables"} <= set(hints)
    for command in hints:
        works(command.replace("UID", uid), place)


def works(command: str, place: Path) -> None:
    if command.startswith("make "):
        target = command.split()[1]
        assert target in {each.values[0] for each in RUNS} | {*DRY, "dev"}, f"no test makes {target}"
        return
    if any(command.startswith(each) for each in ELSEWHERE):
        return
    assert command.startswith("headwater "), f"{command}: neither a command of headwater nor known why not"
    said = headwater(
        *(word.replace("~/AWSLogs", str((place / "AWSLogs").resolve())) for word in shlex.split(command)[1:])
    )
    code, told = ENDS.get(command, (0, ""))
    assert (said.code, told in said.out + said.err) == (code, True), f"{command}: {said.err or said.out}"


def test_what_is_not_run_here_is_still_named_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    named = [*(command for document in READMES for command in blocks(document)), *demo_hints(capsys)]
    known = [each.rstrip() for each in (*ELSEWHERE, *ENDS)]
    assert [] == [each for each in known if not any(command.startswith(each) for command in named)]


def test_every_command_that_the_product_names_exists_with_its_options() -> None:
    load()
    group: Any = typer.main.get_command(app)
    found = list(texts())
    assert len(found) > 20
    for file, command in found:
        told: Any = group
        for word in command.split()[1:]:
            if word.startswith("-"):
                options = {name for each in told.params for name in each.opts}
                assert word.split("=")[0] in options, f"{file}: `{command}`: no option {word}"
            elif isinstance(told, click.Group) or hasattr(told, "commands"):
                assert word in told.commands or word == "{}", f"{file}: `{command}`: no command {word}"
                told = told.commands.get(word, told)
