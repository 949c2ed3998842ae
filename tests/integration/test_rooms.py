"""Who may call whom, and that importing does nothing: held by reading the code and by importing all of it."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "lake": {"ingest", "orchestration", "dagster", "dagster_dbt", "dbt"},
    "ingest": {"orchestration", "dagster", "dagster_dbt", "dbt"},
}
IMPORT_ALL = """
import importlib, pkgutil, socket, sys

def refuse(*_, **__):
    raise AssertionError("importing code touched the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
count = 0
for room in ("lake", "ingest", "orchestration"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            count += 1
print(count)
"""


def _imported(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_a_room_imports_none_of_its_callers(room: str) -> None:
    broken = [
        f"{file.relative_to(TOP)}:{line} imports {name}"
        for file in sorted((TOP / room).rglob("*.py"))
        for name, line in _imported(file)
        if name.split(".")[0] in FORBIDDEN[room]
    ]
    assert broken == []


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_the_linter_refuses_what_a_room_must_not_import(room: str) -> None:
    code = "".join(f"import {name}\n" for name in sorted(FORBIDDEN[room]))
    linter = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise"]
    found = subprocess.run(
        [*linter, "--stdin-filename", str(TOP / room / "new_module.py"), "-"],
        input=code,
        capture_output=True,
        text=True,
    )
    assert found.stdout.count("TID251") == len(FORBIDDEN[room]), found.stdout + found.stderr


def test_importing_everything_needs_no_network_no_secret_and_no_lake(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER", "DAGSTER", "DBT"))}
    bare |= {"PYTHONPATH": str(TOP), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 100
    assert [path.name for path in tmp_path.iterdir() if "headwater" in path.name] == []
