"""What simulated JSON APIs share: requests that are remembered, and faults over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from orchestration.demo.simulators.loopback import LoopbackHandler, LoopbackServer

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

    def strikes(self, target: str) -> bool:
        """Whether a request meets this fault; counts it."""
        if self.where not in target or (self.times is not None and self.made >= self.times):
            return False
        self.made += 1
        return True


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


class _Handler(LoopbackHandler):
    server_of: LookupApi

    def _serve(self) -> None:
        request = self._read()
        fault = self.server_of.met(unquote(self.path))
        if fault is None:
            return self._send(self.server_of.handle(request))
        self.server_of.remember(request)
        if fault.kind == "hang":
            self.server_of.stopping.wait(fault.seconds)
            return self.reset()
        if fault.kind == "reset":
            return self.reset()
        if fault.kind == "half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"data": {"ab')
            return self.reset()
        if fault.kind == "echo":
            return self._send(Response(fault.status, {"request": dict(request.headers), "path": self.path}))
        body = b"<html>Bad gateway" if fault.kind == "garbage" else fault.body.encode()
        return self._send(Response(200 if fault.kind == "garbage" else fault.status, body, fault.headers))

    do_GET = do_POST = _serve

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        content = self.content()
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


class LookupApi(LoopbackServer):
    """One simulated API; a class of its own for each."""

    handler = _Handler
    fault_type = Fault

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.key = key

    def answer(self, request: Request) -> Response:
        """What the API answers."""
        raise NotImplementedError

    def about(self, request: Request) -> Iterable[str]:
        """Which observables a request asks about."""
        return ()

    @property
    def asked(self) -> list[str]:
        """Every observable that was ever asked about, in order, as often as it was."""
        return [each for request in self.requests for each in request.about]

    def handle(self, request: Request) -> Response:
        """Remember a request and answer it, one at a time."""
        with self._lock:
            return self.answer(self.remember(request))

    def remember(self, request: Request) -> Request:
        """Keep a request, with the observables that it asks about."""
        known = replace(request, about=tuple(self.about(request)))
        self.record(known)
        return known
