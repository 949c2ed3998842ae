"""The one server: it finds the vendor by the path, holds requests to its quota, and makes the faults it is told."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from orchestration.demo.simulators.audit_apis.vendor import Asked, Reply, Vendor
from orchestration.demo.simulators.audit_apis.vendors import VENDORS
from orchestration.demo.simulators.audit_apis.world import World
from orchestration.demo.simulators.loopback import LoopbackHandler, LoopbackServer

Fault = Literal[
    "throttle",  # the vendor's own way of saying that there were too many requests
    "server_error",  # 503
    "reset",  # the connection is reset in the middle of the body
    "cut",  # the body ends early and no length was announced
    "html",  # 200 with a page of a proxy
    "revoked",  # 401: the access token is none any more
    "denied",  # 403
    "lost_cursor",  # cursors of before are not known any more
    "loop",  # the next link leads back to this page
    "empty",  # a page without records, and a next link
]


@dataclass
class _Quota:
    """Requests of one tenant in a sliding span; how many came beyond what the vendor allows."""

    requests: int
    seconds: float
    at: deque[float] = field(default_factory=deque)
    beyond: int = 0

    def take(self, now: float) -> bool:
        while self.at and self.at[0] <= now - self.seconds:
            self.at.popleft()
        if len(self.at) >= self.requests:
            self.beyond += 1
            return False
        self.at.append(now)
        return True


class _Handler(LoopbackHandler):
    server_of: AuditApis

    def do_GET(self) -> None:
        try:
            self._answer()
        except OSError:
            self.close_connection = True

    do_POST = do_GET

    def _answer(self) -> None:
        server, parts = self.server_of, urlsplit(self.path)
        body = self.content()
        if "/oauth" in parts.path and parts.path.endswith("/token"):  # of a tenant, or of all
            self._send(server.token(dict(parse_qsl(body.decode()))))
            return
        vendor = next((each for each in VENDORS.values() if each.owns(parts.path)), None)
        if vendor is None:
            self._send(Reply(404, {"error": "not_found"}))
            return
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            json.loads(body) if body.startswith(b"{") else {},
            server.url,
            server.clock(),
            self.headers.get("Date", ""),
        )
        fault, reply = server.reply(vendor, asked, self.headers.get("Authorization", ""))
        if fault in ("reset", "cut", "html") and reply.status == 200:
            self._spoil(fault, reply)
        else:
            self._send(reply)

    def _spoil(self, fault: str, reply: Reply) -> None:
        self.close_connection = True
        half = reply.bytes[: len(reply.bytes) // 2]
        if fault == "html":
            self._send(Reply(200, b"<html>Sign in to the proxy</html>"))
            return
        self._head(reply, None if fault == "cut" else len(reply.bytes))
        self.wfile.write(half)
        self.wfile.flush()
        if fault == "reset":
            self.reset()

    def _send(self, reply: Reply) -> None:
        self._head(reply, len(reply.bytes))
        self.wfile.write(reply.bytes)
        self.wfile.flush()

    def _head(self, reply: Reply, length: int | None) -> None:
        self.send_response_only(reply.status)
        self.send_header("Date", formatdate(self.server_of.clock() + self.server_of.skew, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header(*(("Connection", "close") if length is None else ("Content-Length", str(length))))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()


class AuditApis(LoopbackServer):
    """Every vendor's API over one world.

    `faults` are made at requests by their number, from 1. `clock` gives epoch seconds; `skew` is how far the server's
    own is off. A vendor's requests beyond its quota are counted in `beyond`, and refused as it refuses them.
    """

    handler = _Handler

    def __init__(
        self,
        world: World,
        faults: Mapping[int, Fault] | None = None,
        clock: Callable[[], float] = time.time,
        skew: float = 0.0,
    ) -> None:
        super().__init__()
        self.world, self.faults, self.clock, self.skew = world, dict(faults or {}), clock, skew
        self.made: list[Fault] = []
        self.started: set[str] = set()  # subscriptions
        self.expired: set[str] = set()  # content that is listed, and gone
        self.generation = 0  # of cursors: those of an earlier one are not known
        self._tokens, self._received, self._quotas = 0, 0, dict[str, _Quota]()

    @property
    def received(self) -> int:
        """Return how many requests came, those for tokens aside."""
        return self._received

    @property
    def beyond(self) -> int:
        """Return how many requests came beyond a quota."""
        return sum(each.beyond for each in self._quotas.values())

    def token(self, form: Mapping[str, str]) -> Reply:
        """Answer a request for a token: credentials of an application, or a signed assertion."""
        if form.get("client_secret") != "s3cr3t" and not form.get("assertion"):
            return Reply(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})
        self._tokens += 1
        return Reply(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": f"token-{self._tokens}"})

    def reply(self, vendor: Vendor, asked: Asked, authorization: str) -> tuple[Fault | None, Reply]:
        """Answer a request of a vendor's API."""
        with self._lock:
            self._received += 1
            self.record(asked)
            fault = self.faults.get(self._received)
            quota = self._quotas.setdefault(vendor.name, _Quota(*vendor.quota))
            if fault is not None:
                self.made.append(fault)
            if fault == "revoked" and vendor.has_tokens:
                self._tokens += 1
            if authorization != vendor.wanted(asked, self._tokens):
                return fault, vendor.error(401)
            if not quota.take(asked.now):
                return fault, vendor.throttled(asked.now, quota.seconds)
            if fault == "throttle":
                return fault, vendor.throttled(asked.now, 7.0)
            if fault == "server_error":
                return fault, Reply(503, {"error": "try again"})
            if fault == "denied":
                return fault, vendor.error(403)
            if fault == "lost_cursor":
                self.generation += 1
            return fault, vendor.answer(asked, self, fault or "")
