"""A server that speaks as Snowflake (fakesnow, on DuckDB), on this machine, as a process of its own.

Belongs here: starting it and ending it. Not here: faults (`faulty_http`), and what it answers (`fakesnow_app`). From
the shell: `python -m orchestration.demo.simulators.snowflake.fakesnow` prints its address first and ends when its stdin
closes. A database and a schema are made when they are first named. Everything is in memory: what it held is gone when
it ends. It checks no credentials.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".venv/counterparts/fakesnow/bin/python"
APP = Path(__file__).with_name("fakesnow_app.py")
# -P: the folder of this file, which is named as the package, is not searched; -W: its own warnings are nobody's here.
COMMAND = (str(PYTHON), "-W", "ignore", "-P", str(APP))
MISSING = "" if PYTHON.exists() else "fakesnow is not installed: run make test, which installs it"


class Fakesnow:
    """The server between `start` and `stop`, or inside a `with`. It ends with this process, however that ends."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    def start(self) -> Fakesnow:
        """Start it; returns when it takes connections. Raises RuntimeError when it does not come up."""
        if MISSING:
            raise RuntimeError(MISSING)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*COMMAND, str(self._port)],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop it
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"fakesnow did not come up: exit code {self._process.wait()}")
        return self

    def stop(self) -> None:
        """End it; all tables are gone."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def end_sessions(self) -> None:
        """Do what Snowflake does to the sessions of clients that died: roll back, and drop temporary tables."""
        self._asked("end-sessions")

    def logins(self) -> list[dict[str, Any]]:
        """Return what the last logins said, the newest last: user, authenticator, token, session parameters."""
        return list(self._asked("logins")["logins"])

    def _asked(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/counterpart/{what}", timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def __enter__(self) -> Fakesnow:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main(words: list[str] | None = None) -> None:
    """Serve until stdin closes; the address is the first line."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.demo.simulators.snowflake.fakesnow", description=__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input is closed; it does")
    given = parser.parse_args(words)
    if MISSING:
        raise SystemExit(MISSING)
    os.execv(PYTHON, [*COMMAND, str(given.port)])


if __name__ == "__main__":
    main()
