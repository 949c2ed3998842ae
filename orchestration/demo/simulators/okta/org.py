"""A simulated Okta org: the System Log API over real HTTP on this machine, with Okta's published behaviour.

The endpoint, its rate limit, its error objects and its faults; events are kept in `events`. From the shell: `python -m
orchestration.demo.simulators.okta --events FILE.ndjson.gz`.

Facts: developer.okta.com/docs/reference/api/system-log (modes, parameters, links), /docs/reference/rl-best-practices
(headers), /docs/reference/error-codes. `filter` and `q` are not simulated and are refused.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from orchestration.demo.simulators.loopback import LoopbackHandler, LoopbackServer
from orchestration.demo.simulators.okta.events import Event, EventLog, micros

_PATH = "/api/v1/logs"
_PARAMETERS = {"since", "until", "limit", "sortOrder", "after"}
_WEEK_MICROS = 7 * 86_400 * 1_000_000
_CONCURRENCY_LIMIT = 75

Kind = Literal[
    "rate_limit",  # 429, the limit of requests per minute is spent
    "concurrency",  # 429 that reports the concurrency limit in the same headers
    "server_error",  # 500, 502, 503, 504
    "reset",  # the connection is reset in the middle of the body
    "cut",  # the body ends early and no length was announced
    "hang",  # silence
    "slow",  # the body comes in small pieces
    "not_json",  # 200 with an HTML page, as proxies give
    "no_links",  # the Link header is lost on the way
    "expired",  # 401 from now on
    "forbidden",  # 403
    "bad_request",  # 400
]


@dataclass
class Fault:
    """One fault: made at every `every`-th request, or at each one after the first `after`, at most `times` times.

    `status` is for server_error, `seconds` is the time to the reset of a 429, the length of a hang, or how long a slow
    body takes.
    """

    kind: Kind
    every: int | None = None
    after: int = 0
    times: int | None = None
    status: int = 503
    seconds: float = 1.0
    made: int = field(default=0, init=False)

    def strikes(self, request_number: int) -> bool:
        """Whether this fault is made at the n-th request (from 1); counts it when it is."""
        if request_number <= self.after or (self.times is not None and self.made >= self.times):
            return False
        if self.every is not None and request_number % self.every:
            return False
        self.made += 1
        return True


class ApiError(Exception):
    """An answer that is one of Okta's error objects."""

    def __init__(self, status: int, code: str, summary: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(summary)
        self.status = status
        self.body = {
            "errorCode": code,
            "errorSummary": summary,
            "errorLink": code,
            "errorId": "oae0",
            "errorCauses": [],
        }
        self.headers = headers or {}


@dataclass(frozen=True)
class Request:
    """One request as the simulator saw it, for tests to look at."""

    number: int
    target: str
    status: int
    fault: str | None


class RateLimit:
    """`limit` requests in a window that opens with the first request and lasts `window_seconds`."""

    def __init__(self, limit: int, window_seconds: float, token_share: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._allowed = max(1, int(limit * token_share))
        self._window_seconds = window_seconds
        self._clock = clock
        self._ends_at = 0.0
        self._used = 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count one request; whether it is allowed, and the headers that say so."""
        now = self._clock()
        if now >= self._ends_at:
            self._ends_at, self._used = now + self._window_seconds, 0
        allowed = self._used < self._allowed
        self._used += allowed
        return allowed, limit_headers(self.limit, self.limit - self._used if allowed else 0, self._ends_at)


def limit_headers(limit: int, remaining: int, reset_at: float) -> dict[str, str]:
    """Okta's three headers; the reset is given in whole epoch seconds."""
    return {
        "X-Rate-Limit-Limit": str(limit),
        "X-Rate-Limit-Remaining": str(remaining),
        "X-Rate-Limit-Reset": str(math.ceil(reset_at)),
    }


class _Handler(LoopbackHandler):
    server_of: OktaSimulator
    number: int = 0
    fault: Fault | None = None
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        self.number, self.fault, allowed, limit = self.server_of.receive()
        try:
            self._answer(self.fault, allowed, limit)
        except ApiError as error:
            self._send(error.status, json.dumps(error.body).encode(), {**limit, **error.headers})
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        self.close_connection = True
        error = ApiError(405, "E0000022", "The endpoint does not support the provided HTTP method")
        self._send(error.status, json.dumps(error.body).encode(), {})

    do_PUT = do_DELETE = do_PATCH = do_POST

    def _answer(self, fault: Fault | None, allowed: bool, limit: dict[str, str]) -> None:
        parts = urlsplit(self.path)
        kind = fault.kind if fault else None
        if kind == "expired":
            self.server_of.token = ""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme not in ("SSWS", "Bearer") or not token or token != self.server_of.token:
            raise ApiError(401, "E0000011", "Invalid token provided")
        if parts.path != _PATH:
            raise ApiError(404, "E0000007", f"Not found: Resource not found: {parts.path}")
        if fault is not None:
            self._refuse(fault)
        if not allowed:
            raise ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.", limit)
        body, following = self.server_of.page(parts.query)
        links = [f'<{self.server_of.url}{self.path}>; rel="self"']
        if following is not None:
            links.append(f'<{self.server_of.url}{_PATH}?{following}>; rel="next"')
        if fault is not None and kind in ("reset", "cut", "hang", "slow", "not_json", "no_links"):
            self._spoil(fault, body, limit, links)
        else:
            self._send(200, body, limit, links)

    def _refuse(self, fault: Fault) -> None:
        """Faults that are error answers."""
        reset_at = self.server_of.clock() + fault.seconds
        if fault.kind == "rate_limit":
            headers = limit_headers(self.server_of._limit.limit, 0, reset_at)
            raise ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.", headers)
        if fault.kind == "concurrency":
            headers = limit_headers(_CONCURRENCY_LIMIT, 0, reset_at)
            raise ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.", headers)
        if fault.kind == "server_error":
            raise ApiError(fault.status, "E0000009", "Internal Server Error")
        if fault.kind == "forbidden":
            raise ApiError(403, "E0000006", "You do not have permission to perform the requested action")
        if fault.kind == "bad_request":
            raise _refused("after: the cursor is not valid")

    def _spoil(self, fault: Fault, body: bytes, limit: dict[str, str], links: list[str]) -> None:
        """Faults that spoil a good answer."""
        self.close_connection = True
        half = body[: len(body) // 2]
        if fault.kind == "hang":
            self._record(0)
            self.server_of.stopping.wait(fault.seconds)
        elif fault.kind == "not_json":
            self._send(200, b"<html>Sign in to the proxy</html>", limit, content_type="text/html")
        elif fault.kind == "no_links":
            self._send(200, body, limit)
        elif fault.kind == "cut":
            self._head(200, limit, None, links)
            self.wfile.write(half)
        elif fault.kind == "reset":
            self._head(200, limit, len(body), links)
            self.wfile.write(half)
            self.wfile.flush()
            self.reset()
        else:
            self._head(200, limit, len(body), links)
            for start in range(0, len(body), max(1, len(body) // 10)):
                self.wfile.write(body[start : start + max(1, len(body) // 10)])
                self.wfile.flush()
                self.server_of.stopping.wait(fault.seconds / 10)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        links: Iterable[str] = (),
        content_type: str = "application/json",
    ) -> None:
        self._head(status, headers, len(body), links, content_type)
        self.wfile.write(body)
        self.wfile.flush()

    def _head(
        self,
        status: int,
        headers: dict[str, str],
        length: int | None,
        links: Iterable[str] = (),
        content_type: str = "application/json",
    ) -> None:
        self._record(status)
        self.send_response_only(status)
        self.send_header("Date", formatdate(self.server_of.clock(), usegmt=True))
        self.send_header("Content-Type", content_type)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        for link in links:
            self.send_header("Link", link)
        self.end_headers()

    def _record(self, status: int) -> None:
        """Recorded before the answer goes out: who has the answer finds the request."""
        self.server_of.record(Request(self.number, self.path, status, self.fault.kind if self.fault else None))


class OktaSimulator(LoopbackServer):
    """One org. Everything is kept for tests: `requests`, and in `received` how many came in, answered or not.

    token: the only token it takes (`SSWS` or `Bearer`). rate_limit: requests per `window_seconds`, of which one token
    may take `token_share`. until_inclusive: whether an event published exactly at `until` is served. clock: epoch
    seconds, for the rate limit, `Date`, and, when `live` is set, for persistence: then an event is served only after
    it is persisted, otherwise everything is persisted already.
    """

    handler = _Handler
    fault_type = Fault

    def __init__(
        self,
        events: Iterable[Event] = (),
        *,
        token: str,
        port: int = 0,
        rate_limit: int = 120,
        window_seconds: float = 60.0,
        token_share: float = 1.0,
        until_inclusive: bool = False,
        live: bool = False,
        lag_seconds: float = 0.0,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(port)
        self.token = token
        self.log = EventLog()
        self.log.add(events, lag_seconds=lag_seconds, seed=seed)
        self.clock = clock
        self.received = 0
        self._until_inclusive = until_inclusive
        self._live = live
        self._limit = RateLimit(rate_limit, window_seconds, token_share, clock)

    def receive(self) -> tuple[int, Fault | None, bool, dict[str, str]]:
        """Count one request: its number, the fault it meets, whether the limit allows it, the limit's headers."""
        with self._lock:
            self.received += 1
            return self.received, self.met(self.received), *self._limit.take()

    def page(self, query: str) -> tuple[bytes, str | None]:
        """Body of a page and the query of the next one. Raises ApiError for parameters Okta refuses."""
        given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if unknown := set(given) - _PARAMETERS:
            raise _refused(f"{sorted(unknown)[0]}: not supported here")
        now = int(self.clock() * 1_000_000)
        self.log.persist(now if self._live else None)
        limit = _limit(given.get("limit", "100"))
        after = _after(given.get("after"))
        order = given.get("sortOrder", "ASCENDING")
        if order not in ("ASCENDING", "DESCENDING"):
            raise _refused("sortOrder: must be ASCENDING or DESCENDING")
        until = _moment("until", given["until"]) if "until" in given else now
        since = _moment("since", given["since"]) if "since" in given else until - _WEEK_MICROS
        if since > until:
            raise _refused("since: must not be after until")
        if "until" in given or order == "DESCENDING":
            page = self.log.bounded(
                since, until, after, limit, ascending=order == "ASCENDING", inclusive=self._until_inclusive
            )
        else:
            page = self.log.polled(since, after, limit)
        following = None
        if page.more and page.after is not None:
            following = urlencode({**given, "after": f"{page.after[0]}_{page.after[1]}"})
        return b"[" + b",".join(page.records) + b"]", following


def _refused(summary: str) -> ApiError:
    return ApiError(400, "E0000001", f"Api validation failed: {summary}")


def _limit(text: str) -> int:
    if not text.isdigit() or int(text) > 1000:
        raise _refused("limit: must be between 0 and 1000")
    return int(text)


def _moment(name: str, text: str) -> int:
    try:
        return micros(text)
    except ValueError:
        raise _refused(f"{name}: The date format in your query is not recognized") from None


def _after(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    head, _, tail = text.partition("_")
    try:
        return int(head), int(tail)
    except ValueError:
        raise _refused("after: the cursor is not valid") from None
