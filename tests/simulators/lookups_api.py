"""What the simulated lookup providers share: a server on 127.0.0.1 that remembers its requests and can be in trouble.

Belongs here: the server, faults over real sockets. Not here: an API (`lookups_<provider>`).
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Kind = Literal[
    "error",  # an answer of `status` with `body`
    "hang",  # silence for `seconds`, then the connection ends
    "reset",  # the connection is reset before an answer
    "garbage",  # 200 with a body that is no JSON
    "half",  # the first half of the body, and the connection ends
    "echo",  # 500 that repeats the request's headers, as a careless proxy does
]


@dataclass
class Fault:
    """One fault, made at requests whose path holds `where`, at most `times` (None: for ever)."""

    kind: Kind
    where: str = ""
    times: int | None = 1
    status: int = 500
    body: str = ""
    seconds: float = 5.0
    headers: dict[str, str] = field(default_factory=dict)
    made: int = 0


@dataclass(frozen=True)
class Request:
    """One request as the simulator saw it. `about` are the observables that it asked about."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """An answer of the API: a body for JSON, or bytes as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class LookupApi:
    """One simulated API, served between `start` and `stop` or inside a `with`."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def answer(self, request: Request) -> Response:
        """What the API answers; a class of its own for each."""
        raise NotImplementedError

    def about(self, request: Request) -> Iterable[str]:
        """Which observables a request asks about."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The address that settings name; the same after the server was down."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def asked(self) -> list[str]:
        """Every observable that was ever asked about, in order, as often as it was."""
        return [each for request in self.requests for each in request.about]

    def start(self) -> LookupApi:
        """Begin to serve, or go on after `stop` at the same port."""
        api = self
        self.stopping.clear()

        class Handler(_Handler):
            way = api

        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving: connections are refused from now on."""
        if self._server is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> LookupApi:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def inject(self, fault: Fault) -> Fault:
        """Make a fault from now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Make no fault any more."""
        with self._lock:
            self._faults.clear()

    def met(self, target: str) -> Fault | None:
        """The fault that a request meets, counted."""
        with self._lock:
            for fault in self._faults:
                if fault.where in target and (fault.times is None or fault.made < fault.times):
                    fault.made += 1
                    return fault
        return None

    def handle(self, request: Request) -> Response:
        """Remember a request and answer it, one at a time."""
        with self._lock:
            known = Request(**(vars(request) | {"about": tuple(self.about(request))}))
            self.requests.append(known)
            return self.answer(known)

    def remember(self, request: Request) -> None:
        """Remember a request that meets a fault."""
        with self._lock:
            self.requests.append(Request(**(vars(request) | {"about": tuple(self.about(request))})))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    way: LookupApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        request = self._read()
        fault = self.way.met(unquote(self.path))
        if fault is None:
            return self._send(self.way.handle(request))
        self.way.remember(request)
        if fault.kind == "hang":
            self.way.stopping.wait(fault.seconds)
            return self._reset()
        if fault.kind == "reset":
            return self._reset()
        if fault.kind == "half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"data": {"ab')
            return self._reset()
        if fault.kind == "echo":
            return self._send(Response(fault.status, {"request": dict(request.headers), "path": self.path}))
        body = b"<html>Bad gateway" if fault.kind == "garbage" else fault.body.encode()
        return self._send(Response(200 if fault.kind == "garbage" else fault.status, body, fault.headers))

    do_GET = do_POST = _serve

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query))
        return Request(
            self.command, parts.path, query, dict(self.headers.items()), self._body(content) if content else None
        )

    def _body(self, content: bytes) -> Any:
        """A form, as token endpoints take it, or JSON."""
        is_form = "x-www-form-urlencoded" in self.headers.get("Content-Type", "")
        return dict(parse_qsl(content.decode())) if is_form else json.loads(content)

    def _send(self, response: Response) -> None:
        body = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "Content-Type" not in response.headers:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: tests read `requests`."""
