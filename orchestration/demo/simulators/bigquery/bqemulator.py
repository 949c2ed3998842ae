"""A BigQuery emulator on this machine, in memory, as a process of its own; `service` amends what it answers.

It knows the project `demo` and asks for no credentials. `make test-all` installs it, in an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from orchestration.demo.simulators.loopback import ROOT

PROJECT = "demo"
_HOME = ROOT / ".venv" / "counterparts" / "bqemulator"
_EXTENSION = "duckdb_extension_spatial/extensions/v1.5.5/spatial.duckdb_extension"
_UP_WITHIN_SECONDS = 90.0
ABSENT = "the BigQuery emulator is not installed: make test-all installs it"


def installed() -> bool:
    """Whether the emulator's environment is complete."""
    return (_HOME / ".complete").exists()


class BigQueryEmulator:
    """The emulator between `start` and `stop`, or inside a `with`. It ends with this process, however that ends."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """Its process, for tests that end it in the middle."""
        if self._process is None:
            raise RuntimeError("the emulator is not running")
        return self._process.pid

    def start(self) -> BigQueryEmulator:
        """Start it; returns when it answers. Raises RuntimeError when it does not come up."""
        if not installed():
            raise RuntimeError(ABSENT)
        self._folder = tempfile.TemporaryDirectory(prefix="bqemulator-", ignore_cleanup_errors=True)
        home = Path(self._folder.name)
        self._bring_extension(home)
        port = self._port or _free_port()
        log = home / "log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [
                    *(str(_HOME / "bin" / "python"), "-P", str(Path(__file__).with_name("service.py"))),
                    *("start", "--rest-port", str(port), "--grpc-port", "0"),
                    *("--project", PROJECT, "--log-level", "warning"),
                ],
                cwd=home,
                env={"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ.get("PATH", "")},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it
            )
        self.url = f"http://127.0.0.1:{port}"
        self._wait(log)
        return self

    def stop(self) -> None:
        """End it; all tables are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> BigQueryEmulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def client(self) -> Any:
        """Return Google's client for it."""
        options = {"api_endpoint": self.url}
        return bigquery.Client(PROJECT, credentials=AnonymousCredentials(), client_options=options)  # type: ignore[no-untyped-call]

    def slow(self, seconds: float) -> None:
        """Let every load from now on run for so long before it commits."""
        asked = urllib.request.Request(f"{self.url}/upload/bigquery/v2/slow/{seconds}", method="POST")
        urllib.request.urlopen(asked, timeout=10).close()

    def _bring_extension(self, home: Path) -> None:
        """The emulator installs DuckDB's spatial extension; one that lies there already is not fetched."""
        (file,) = _HOME.glob(f"lib/python*/site-packages/{_EXTENSION}")
        folder = home / ".duckdb" / "extensions" / "v1.5.5" / "linux_amd64"
        folder.mkdir(parents=True)
        shutil.copy(file, folder)

    def _wait(self, log: Path) -> None:
        assert self._process is not None
        until = time.monotonic() + _UP_WITHIN_SECONDS
        asked = f"{self.url}/bigquery/v2/projects/{PROJECT}/datasets"
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(asked, timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        told = log.read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"the BigQuery emulator did not come up:\n{told}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
