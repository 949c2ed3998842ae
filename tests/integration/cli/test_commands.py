"""A call reads the file of its command and no other, and is told about all commands when it names none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake.base import plugins
from orchestration.cli import app, commands, load
from tests.integration.lakes import headwater

NAMES = plugins.names(commands)
TOP = Path(__file__).parents[3]
READ = "import sys; from orchestration.cli import load; load(sys.argv[1]); print(*sys.modules)"


@pytest.mark.parametrize("command", NAMES)
def test_a_command_is_in_the_file_of_its_name(command: str) -> None:
    load(command)
    known = [each.name or (each.callback and each.callback.__name__) for each in app.registered_commands]
    assert command in [*known, *(each.name for each in app.registered_groups)]


@pytest.mark.parametrize("command", ["balance", "iceberg", "compact"])
def test_a_command_reads_no_file_of_another(command: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", READ, command],
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
    )
    files = [name for name in told.stdout.split() if name.startswith("orchestration.cli.commands.")]
    assert [f"orchestration.cli.commands.{command}"] == files


def test_a_call_without_a_command_lists_them_all() -> None:
    for said in (headwater("--help").out, headwater().out):
        assert [] == [name for name in NAMES if name not in said]
        assert "A security data lake that can be audited" in said


def test_a_misspelt_command_is_told_what_is_like_it() -> None:
    said = headwater("balanse")
    assert 2 == said.code and "balance" in said.err + said.out
