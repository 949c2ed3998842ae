"""Killing a process that pushes, from within a request of its own, and how it ended.

Belongs here: what the tests of several destinations do to their processes. Not here: what must hold afterwards.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable


def code_of(process: multiprocessing.process.BaseProcess) -> int | None:
    """Return how a process ended; whoever else waited for it may tell a moment later."""
    process.join(60)
    for _ in range(500):
        if process.exitcode is not None:
            break
        time.sleep(0.02)
    return process.exitcode


def killing(process: multiprocessing.process.BaseProcess) -> Callable[[], None]:
    def kill() -> None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)

    return kill
