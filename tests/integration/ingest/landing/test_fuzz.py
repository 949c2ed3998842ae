"""A hundred thousand mutated records of all sources, as `make fuzz` lands and publishes as many as one likes."""

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[4]


@pytest.mark.storm
def test_a_hundred_thousand_mutated_records_are_accounted_for_and_stop_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--records", "100000", "--seed", "3"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "0 things went wrong" in done.stdout) == (0, True), done.stdout + done.stderr
