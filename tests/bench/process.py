"""Running a job or a command and measuring it from outside: wall seconds, and peak memory of its process tree."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.integration.started import started

ROOT = Path(__file__).resolve().parents[2]
_SAMPLE_SECONDS = 0.05
_COMMAND = "from orchestration.cli import main; main()"
_warm: list[str] = []  # with what a call of a warm process begins, while there is one


@contextmanager
def in_forks() -> Iterator[None]:
    """Fork what the block starts from one warm process: it is over sooner, and what is measured says nothing."""
    with started(ROOT) as start:
        _warm[:] = start
        yield
        _warm.clear()


@dataclass(frozen=True)
class Measured:
    """What one process did: seconds from its start to its end, peak resident bytes of its tree, what it printed.

    `cpu_seconds` are those of its processors: what else the machine does hardly counts there.
    """

    seconds: float
    peak_bytes: int
    printed: str
    cpu_seconds: float = 0.0

    @property
    def own_seconds(self) -> float:
        """The seconds that a job says its work took."""
        return float(json.loads(self.printed.splitlines()[-1]))


def job(lake: Path | str, *words: str) -> Measured:
    """Run a job of `tests.bench.job` on a lake."""
    return module(lake, "tests.bench.job", *words)


def module(lake: Path | str, name: str, *words: str) -> Measured:
    """Run another module on a lake."""
    return _run([*(_warm or [sys.executable]), "-m", name, *words], lake)


def headwater(lake: Path | str, *words: str) -> Measured:
    """Run a `headwater` command on a lake."""
    return _run([*(_warm or [sys.executable, "-c", _COMMAND]), *words], lake)


def _run(words: list[str], lake: Path | str) -> Measured:
    environment = os.environ | {"HEADWATER_LAKE": str(lake), "PYTHONPATH": str(ROOT)}
    began, used = time.perf_counter(), _cpu_seconds()
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = _watch(process)
        printed, errors = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(words[2:])} ended with {process.returncode}:\n{errors[-3000:]}")
    return Measured(seconds, peak, printed, _cpu_seconds() - used)


def _cpu_seconds() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: "subprocess.Popen[str]") -> int:
    peak, tree = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):  # a process of the tree may end while it is looked at
            peak = max(peak, sum(each.memory_info().rss for each in (tree, *tree.children(recursive=True))))
        time.sleep(_SAMPLE_SECONDS)
    return peak
