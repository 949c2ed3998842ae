"""A call reads the file of its command and no other, and is told about all commands when it names none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.cli import app, load
from orchestration.cli.app import COMMANDS
from tests.integration.lakes import headwater

TOP = Path(__file__).parents[3]
READ = "import sys; from orchestration.cli import load; load(sys.argv[1]); print(*sys.modules)"


def test_every_command_is_said_to_be_in_the_file_that_has_it() -> None:
    load()
    found = {each.name or each.callback.__name__: each.callback for each in app.registered_commands if each.callback}
    for group in app.registered_groups:
        assert group.name and group.typer_instance
        found[group.name] = group.typer_instance.registered_commands[0].callback  # type: ignore[assignment]
    files = {name: callback.__module__.rpartition(".")[2] for name, callback in found.items()}
    assert {name: file for file, names in COMMANDS.items() for name in names} == files


@pytest.mark.parametrize("command", ["balance", "iceberg", "compact"])
def test_a_command_reads_no_file_of_another(command: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", READ, command],
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
    )
    read = {name.rpartition(".")[2] for name in told.stdout.split() if name.startswith("orchestration.cli.")}
    assert [file for file, names in COMMANDS.items() if command in names] == sorted(read & COMMANDS.keys())


def test_a_call_without_a_command_lists_them_all() -> None:
    for said in (headwater("--help").out, headwater().out):
        assert [] == [name for names in COMMANDS.values() for name in names if name not in said]
        assert "A security data lake that can be audited" in said


def test_a_misspelt_command_is_told_what_is_like_it() -> None:
    said = headwater("balanse")
    assert 2 == said.code and "balance" in said.err + said.out
