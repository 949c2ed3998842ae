"""A proxy in front of an S3-compatible server that makes faults on purpose, over real sockets.

Belongs here: matching requests, spoiling them or their answers, and remembering what went through. Not here: what S3
means. Clients take the proxy's address as their endpoint, so that what they sign is what they send.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Literal
from urllib.parse import unquote, urlsplit

from orchestration.demo.simulators.loopback import LoopbackHandler, LoopbackServer, counted

Kind = Literal[
    "error",  # an answer of `status` with `body`, or S3's error body of `code`; the server never sees the request
    "hang",  # silence for `seconds`, then the connection ends; the server never sees the request
    "reset",  # the connection is reset after `at_bytes` of the answer's body
    "cut",  # the answer's body ends in good order after `at_bytes`, though more was announced
    "reset_upload",  # the connection is reset after `at_bytes` of the request's body; the server never sees it
    "lost",  # the server does what was asked, and the connection is reset before its answer
    "slow",  # the answer's body comes in ten pieces over `seconds`
    "skew",  # the answer's Date and Last-Modified are `seconds` off
    "act",  # nothing but that `act` is called before the server sees the request
]
_MESSAGES = {
    "InternalError": "We encountered an internal error. Please try again.",
    "SlowDown": "Please reduce your request rate.",
    "AccessDenied": "Access Denied",
    "RequestTimeTooSkewed": "The difference between the request time and the current time is too large.",
    "ServiceUnavailable": "Service is unable to handle request.",
}
_OF_ONE_CONNECTION = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "expect", "server"))


@dataclass
class Fault:
    """One fault, made at requests whose method is `method` and whose decoded path and query are found by `where`.

    The first `after` of these go through, then every `every`-th is spoiled, at most `times` (None: for ever).
    """

    kind: Kind
    method: str = ""
    where: str = ""
    after: int = 0
    every: int = 1
    times: int | None = 1
    status: int = 500
    code: str = "InternalError"
    body: str = ""
    seconds: float = 0.0
    at_bytes: int = 0
    act: Callable[[], object] = bool
    seen: int = field(default=0, init=False)
    made: int = field(default=0, init=False)

    def strikes(self, method: str, target: str) -> bool:
        """Whether this fault is made at a request; counts it."""
        concerns = (not self.method or method == self.method) and re.search(self.where, target)
        return bool(concerns) and counted(self)


@dataclass(frozen=True)
class Exchange:
    """One request as the proxy saw it: `status` is 0 when the client got no answer."""

    method: str
    target: str
    status: int
    fault: Kind | None


class _Handler(LoopbackHandler):
    """Passes one connection on."""

    server_of: FaultyProxy

    def setup(self) -> None:
        super().setup()
        place = urlsplit(self.server_of.upstream)
        self._upstream = http.client.HTTPConnection(place.hostname or "", place.port)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _pass(self) -> None:
        self._target = unquote(self.path)
        self._fault = self.server_of.met(self.command, self._target)
        kind = self._fault.kind if self._fault else None
        if self._fault and kind == "reset_upload":
            self.rfile.read(min(self._fault.at_bytes, self._announced()))
            return self._reset()
        body = self._body()
        if self._fault and kind == "error":
            return self._refuse(self._fault)
        if self._fault and kind == "hang":
            self.server_of.stopping.wait(self._fault.seconds)
            return self._reset()
        if self._fault and kind == "act":
            self._fault.act()
        status, headers, answer = self._ask(body)
        if kind == "lost":
            return self._reset()
        self._answer(status, headers, answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass

    def _announced(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(self._announced())
        parts = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        given = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        given["Content-Length"] = str(len(body))
        self._upstream.request(self.command, self.path, body, given)
        answer = self._upstream.getresponse()
        data = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_ONE_CONNECTION]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        return answer.status, [*kept, ("Content-Length", length or "0")], data

    def _refuse(self, fault: Fault) -> None:
        if fault.body:
            given = fault.body.encode()
            kind = [("Content-Type", "application/json"), ("Content-Length", str(len(given)))]
            return self._answer(fault.status, kind, given)
        told = f"<Error><Code>{fault.code}</Code><Message>{_MESSAGES.get(fault.code, '')}</Message></Error>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{told}'.encode()
        self._answer(fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)

    def _answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        fault = self._fault
        body = b"" if self.command == "HEAD" else body
        self._record(status)
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, _skewed(name, value, fault))
        self.end_headers()
        if fault and fault.kind in ("reset", "cut") and fault.at_bytes < len(body):
            self.wfile.write(body[: fault.at_bytes])
            if fault.kind == "reset":
                return self.reset()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_WR)
        elif fault and fault.kind == "slow":
            step = max(1, -(-len(body) // 10))
            for start in range(0, len(body), step):
                self.server_of.stopping.wait(fault.seconds / 10)
                self.wfile.write(body[start : start + step])
        else:
            self.wfile.write(body)

    def _record(self, status: int) -> None:
        """Recorded before the answer goes out: who has the answer finds the exchange."""
        self.server_of.record(Exchange(self.command, self._target, status, self._fault.kind if self._fault else None))

    def _reset(self) -> None:
        self._record(0)
        self.reset()


class FaultyProxy(LoopbackServer):
    """The proxy; clients take its address for the server's."""

    handler = _Handler
    fault_type = Fault

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.upstream = upstream

    @property
    def exchanges(self) -> list[Exchange]:
        """Every request, in the order of their ends."""
        return self.requests

    def counts(self, where: str = "") -> Counter[str]:
        """How many requests came in, by method, of those whose path and query are found by `where`."""
        return Counter(each.method for each in self.exchanges if re.search(where, each.target))


def _skewed(name: str, value: str, fault: Fault | None) -> str:
    if fault is None or fault.kind != "skew" or name.lower() not in ("date", "last-modified"):
        return value
    return format_datetime(parsedate_to_datetime(value) + timedelta(seconds=fault.seconds), usegmt=True)
