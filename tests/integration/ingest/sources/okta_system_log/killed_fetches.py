"""Fetches an hour in processes that are killed: `killed_fetches URL SPOOL...`, orders on stdin, outcomes on stdout.

Each order is `<spool> <line>`: a forked child fetches into the spool and gets SIGKILL before it executes the line-th
line of our own transport code, so that every pair of neighbouring statements can be torn apart. Line 0 never comes:
that child ends by itself. Forking from this single-threaded process costs milliseconds where a new one costs a second.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from tests.integration.ingest.sources.okta_system_log.conftest import HOUR, MovedClock, OktaConfig, fetch_hour


def serve(url: str) -> None:
    """Carry out orders until stdin ends; answers `killed` or `ended` for each."""
    for order in sys.stdin:
        spool, line = order.split()
        child = os.fork()
        if child == 0:
            _fetch(url, Path(spool), int(line))
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write("killed\n" if killed else f"ended {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _fetch(url: str, spool: Path, line: int) -> None:
    try:
        if line:
            sys.settrace(_Killer(line))
        fetch_hour(OktaConfig(base_url=url, limit=10), HOUR, spool, clock=MovedClock().clock)
        sys.settrace(None)
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


class _Killer:
    """A trace function that counts the lines of the transports and kills its process at the chosen one."""

    def __init__(self, line: int) -> None:
        self._left = line

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> _Killer | None:
        if f"{os.sep}transports{os.sep}" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


if __name__ == "__main__":
    serve(sys.argv[1])
