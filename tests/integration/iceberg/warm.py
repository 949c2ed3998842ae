"""A warm process whose forked children publish and are killed at a chosen act: pyiceberg takes seconds to import.

`python -m tests.integration.iceberg.warm LAKE` answers each line, the number of the act before which a child kills
itself (0: never), with the acts that it counted or `-9`. An act is a file of the lake opened for writing, renamed or
removed, as `tests.crash.zygote` counts them; SQLite's own are not seen.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.crash.zygote import _changes

_TOP = Path(__file__).parents[3]


class Warm:
    """The warm process, seen from tests."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", __name__, str(self._lake)]
        pipe = subprocess.PIPE
        environment = {**os.environ, "PYTHONPATH": str(_TOP)}
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=_TOP, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def publish(self, act: int = 0) -> int:
        """Publish, killed before the act of that number if there is one; return the acts, or -9."""
        self.start(act)
        return self.ended()

    def start(self, act: int = 0) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{act}\n")
        self._process.stdin.flush()

    def ended(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())


def _child(folder: str, act: int, told: Path) -> None:
    from lake.iceberg import Place, publish_tables
    from lake.storage.store import LocalStore

    acts = 0

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal acts
        if _changes(name, arguments, folder):
            acts += 1
            if acts == act:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    code = 1
    try:
        store = LocalStore(folder)
        failed = [each.failed for each in publish_tables(store, Place(store)) if each.failed]
        code = 1 if failed else 0
    finally:
        told.write_text(str(acts))
        os._exit(code)


def _serve(folder: str) -> None:
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401 - what children need is imported once, here

    told = Path(f"{folder}.acts.{os.getpid()}")
    for line in sys.stdin:
        told.write_text("0")
        pid = os.fork()
        if pid == 0:
            _child(folder, int(line), told)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{told.read_text() if code == 0 else code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
