"""dbt_project/TUTORIAL.md is followed: its files and edits are made in a copy of the repository, its outputs are real.

`python -m tests.integration.test_tutorial` writes the outputs anew.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.integration.parsed import parsed
from tests.integration.started import started

TOP = Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "dbt_project/TUTORIAL.md"
ROOMS = ("ingest", "lake", "orchestration", "dbt_project")
FOLDER = "/tmp/tutorial"  # where the document has its lake
# The text before a block, the block's language, and what stands in it.
BLOCK = re.compile(r"(?P<before>.*?)\n```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
PATH = re.compile(r"`([\w/.-]+/[\w.-]+\.\w+)`")
VARIES = {r"\d+\.\d s\b": "0.1 s", r"\bfiles-[0-9a-f]{16}\b": "files-0123456789abcdef"}


class Reader:
    """Somebody who follows the document in a copy of the repository, which is a checkout of git.

    `start` are the words that a command of that copy begins with (see `started`)."""

    def __init__(self, folder: Path, start: Sequence[str]) -> None:
        self._folder = folder / "tutorial"
        self._folder.mkdir()
        self._top = folder / "headwater"
        for name in ("headwater", "python"):
            file = self._top / ".venv/bin" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f'#!/bin/sh\nexec {shlex.join(start)} "$@"\n')
            file.chmod(0o755)
        left_out = ("HEADWATER", "DBT", "GIT", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        self._environment = {
            **kept,
            "PYTHONPATH": str(self._top),
            "HEADWATER_WARM_SECONDS": "0",
        }
        self._exports, self._said = "", ""
        who = "-c user.name=reader -c user.email=reader@larkspur.example"
        self._run(f"git init -q && git add dbt_project && git {who} commit -qm Checkout")

    def follow(self, document: str) -> str:
        """Do what each block says; return the document with the outputs that there were."""
        followed = BLOCK.sub(self._block, document)
        assert not self._said, f"the document leaves out this output: {self._said}"
        return followed

    def _block(self, found: re.Match[str]) -> str:
        before, language, text = found["before"], found["language"], found["text"]
        if language == "text":
            text, self._said = self._said, ""
        elif language == "sh":
            assert not self._said, f"the document leaves out this output: {self._said}"
            self._said = self._run(text)
        else:
            self._edit(PATH.findall(before)[-1], language, text, append="Append to" in before)
        return f"{before}\n```{language}\n{text}```\n"

    def _edit(self, path: str, language: str, text: str, append: bool) -> None:
        file = Path(path.replace(FOLDER, str(self._folder))) if path.startswith("/") else self._top / path
        if language == "diff":
            lines = text.splitlines(keepends=True)
            old, new = ("".join(line[1:] for line in lines if line[0] in side) for side in (" -", " +"))
            before = file.read_text()
            assert before.count(old) == 1, f"{path}: found {before.count(old)} times what the document replaces: {old}"
            text = before.replace(old, new)
        elif append:
            text = file.read_text() + text
        file.write_text(text)

    def _run(self, commands: str) -> str:
        self._exports += "".join(re.findall(r"^export .*\n", commands, re.MULTILINE))
        done = subprocess.run(
            ["bash", "-ec", (self._exports + commands).replace(FOLDER, str(self._folder))],
            cwd=self._top,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}"
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        return "".join(f"{line}\n" for line in lines)


def settled(document: str) -> str:
    """Return the document without what differs from one reader to the next."""
    for pattern, always in VARIES.items():
        document = re.sub(pattern, always, document)
    return document


def copied(folder: Path) -> Path:
    """A copy of the repository in a folder."""
    top = folder / "headwater"
    for room in ROOMS:
        shutil.copytree(TOP / room, top / room, ignore=shutil.ignore_patterns("target", "logs"))
    (top / "pyproject.toml").touch()  # as in a checkout: dbt may write beside its project
    parsed(top / "dbt_project")
    return top


def followed(folder: Path) -> str:
    """The document with the outputs that there were."""
    with started(copied(folder)) as start:
        return Reader(folder, start).follow(DOCUMENT.read_text())


def test_who_follows_the_tutorial_sees_what_it_shows(tmp_path: Path) -> None:
    assert settled(followed(tmp_path)) == settled(DOCUMENT.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        DOCUMENT.write_text(followed(Path(folder)))
