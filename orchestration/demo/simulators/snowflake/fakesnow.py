"""A server that speaks as Snowflake (fakesnow, on DuckDB), in memory; what it answers is `app`'s.

A database and a schema are made when they are first named. It checks no credentials.
"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from orchestration.demo.simulators.loopback import ROOT, ServerProcess

PYTHON = ROOT / ".venv/counterparts/fakesnow/bin/python"
# -P: the folder of this file, which is named as the package, is not searched; -W: its own warnings are nobody's here.
COMMAND = (str(PYTHON), "-W", "ignore", "-P", str(Path(__file__).with_name("app.py")))
MISSING = "" if PYTHON.exists() else "fakesnow is not installed: make test-all installs it"


class Fakesnow(ServerProcess):
    """The server between `start` and `stop`, or inside a `with`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__([*COMMAND, str(port)])

    def start(self) -> Fakesnow:
        """Start it. Raises RuntimeError when it is not installed or does not come up."""
        if MISSING:
            raise RuntimeError(MISSING)
        return super().start()

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
