"""What every simulated server on 127.0.0.1 shares: its life, its faults, and running as a process of its own.

What an API answers, and which faults it knows, is each simulator's own.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

ROOT = Path(__file__).parents[3]


class LoopbackServer:
    """A server on 127.0.0.1 between `start` and `stop`, or inside a `with`, in threads of this process.

    `handler` answers connections, `fault_type` is the class of faults; each has a method `strikes`, which says whether
    a request meets it and counts it. `stopping` is set when the server stops, for answers that wait.
    """

    handler: ClassVar[type[LoopbackHandler]]
    fault_type: ClassVar[type]

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Any] = []
        self.stopping = threading.Event()
        self._port = port
        self._faults: list[Any] = []
        self._lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port it listens at, or last did."""
        return self._port

    @property
    def url(self) -> str:
        """The base address, without a slash at the end; the same after `stop` and `start`."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Begin to serve; once stopped, at the same port."""
        self.stopping.clear()
        handler = type("Handler", (self.handler,), {"server_of": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving: connections are refused from now on, answers that wait end."""
        if self._server is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def inject(self, fault: Any, **how: Any) -> Any:
        """Make a fault from now on and return it: one of `fault_type`, or its kind and its fields.

        Where two meet, the one injected first is made.
        """
        made = self.fault_type(fault, **how) if isinstance(fault, str) else fault
        with self._lock:
            self._faults.append(made)
        return made

    def heal(self) -> None:
        """Make no fault any more."""
        with self._lock:
            self._faults.clear()

    def met(self, *request: Any) -> Any:
        """Return the fault that a request meets, None without one."""
        with self._lock:
            return next((fault for fault in self._faults if fault.strikes(*request)), None)

    def record(self, request: Any) -> None:
        """Keep a request for tests to look at."""
        with self._lock:
            self.requests.append(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that break off in the middle are what some tests are about."""


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answers one connection of `server_of`."""

    server_of: Any
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def content(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reset(self) -> None:
        """End the connection by a reset: closing with a linger time of 0 sends one instead of an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: tests read `requests`."""


def counted(fault: Any) -> bool:
    """Whether a fault is made at one more request of its kind: after the first `after`, every `every`-th, `times`."""
    fault.seen += 1
    if fault.seen <= fault.after or (fault.times is not None and fault.made >= fault.times):
        return False
    if (fault.seen - fault.after) % fault.every:
        return False
    fault.made += 1
    return True


def serve(server: Any) -> None:
    """Run a server until standard input is closed; the address is the first line of standard output."""
    with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


class ServerProcess:
    """A server in a process of its own, between `start` and `stop` or inside a `with`: `url` is its address.

    The process prints its address first and ends when its standard input closes, however this process ends.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._words = words
        self._environment = environment or {}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Its process, for tests that measure what it costs."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start it; return when it takes connections. Raises RuntimeError when it does not come up."""
        self._process = subprocess.Popen(
            self._words,
            cwd=ROOT,
            env={**os.environ, **self._environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the starter, which then stops it
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"{' '.join(self._words)} did not come up: exit code {self._process.wait()}")
        return self

    def stop(self) -> None:
        """End it; what it held in memory is gone."""
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def simulator(name: str, *words: str, environment: Mapping[str, str] | None = None) -> ServerProcess:
    """Return a simulator of this folder, to be run as a process."""
    return ServerProcess([sys.executable, "-m", f"{__package__}.{name}", *words], environment)
