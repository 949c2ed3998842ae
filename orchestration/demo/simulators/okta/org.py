"""A simulated Okta org: the System Log API over real HTTP on this machine, with Okta's published behaviour.

Belongs here: the endpoint, its rate limit and its error objects. Events are kept in `okta_events`, faults are described
in `okta_faults`. From the shell: `python -m orchestration.demo.simulators.okta.org --events FILE.ndjson.gz` prints its
address first.

Facts: developer.okta.com/docs/reference/api/system-log (modes, parameters, links), /docs/reference/rl-best-practices
(headers), /docs/reference/error-codes. `filter` and `q` are not simulated and are refused.
"""

from __future__ import annotations

import json
import logging
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlencode, urlsplit

from orchestration.demo.simulators.okta.events import Event, EventLog, micros
from orchestration.demo.simulators.okta.faults import Fault, Kind

_log = logging.getLogger(__name__)

_PATH = "/api/v1/logs"
_PARAMETERS = {"since", "until", "limit", "sortOrder", "after"}
_WEEK_MICROS = 7 * 86_400 * 1_000_000
_CONCURRENCY_LIMIT = 75


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


class OktaSimulator:
    """One org on 127.0.0.1, running between `start` and `stop` or inside a `with`.

    token: the only token it takes (`SSWS` or `Bearer`). rate_limit: requests per `window_seconds`, of which one token
    may take `token_share`. until_inclusive: whether an event published exactly at `until` is served. clock: epoch
    seconds, for the rate limit, `Date`, and, when `live` is set, for persistence: then an event is served only after
    it is persisted, otherwise everything is persisted already.
    """

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
        self.token = token
        self.log = EventLog()
        self.log.add(events, lag_seconds=lag_seconds, seed=seed)
        self.requests: list[Request] = []
        self.clock = clock
        self.stopping = threading.Event()
        self._until_inclusive = until_inclusive
        self._live = live
        self._limit = RateLimit(rate_limit, window_seconds, token_share, clock)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._numbers = 0
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def received(self) -> int:
        """How many requests have come in, answered or not."""
        return self._numbers

    def start(self) -> OktaSimulator:
        """Begin to serve, in threads of this process."""
        simulator = self

        class Handler(_Handler):
            org = simulator

        self.stopping.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving; requests that hang are let go."""
        if self._server is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> OktaSimulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def inject(
        self,
        kind: Kind,
        *,
        every: int | None = None,
        after: int = 0,
        times: int | None = None,
        status: int = 503,
        seconds: float = 1.0,
    ) -> Fault:
        """Make a fault from now on; see `okta_faults.Fault`. Where two faults meet, the one injected first is made."""
        fault = Fault(kind, every, after, times, status, seconds)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Make no fault any more."""
        with self._lock:
            self._faults.clear()

    def receive(self) -> tuple[int, Fault | None, bool, dict[str, str]]:
        """Count one request: its number, the fault it meets, whether the limit allows it, the limit's headers."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
            fault = next((fault for fault in self._faults if fault.strikes(number)), None)
            return number, fault, *self._limit.take()

    def record(self, request: Request) -> None:
        """Keep a request for tests to look at."""
        with self._lock:
            self.requests.append(request)

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


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection; `org` is set by the simulator that runs it."""

    org: OktaSimulator
    number: int = 0
    fault: Fault | None = None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        self.number, self.fault, allowed, limit = self.org.receive()
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
            self.org.token = ""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme not in ("SSWS", "Bearer") or not token or token != self.org.token:
            raise ApiError(401, "E0000011", "Invalid token provided")
        if parts.path != _PATH:
            raise ApiError(404, "E0000007", f"Not found: Resource not found: {parts.path}")
        if fault is not None:
            self._refuse(fault)
        if not allowed:
            raise ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.", limit)
        body, following = self.org.page(parts.query)
        links = [f'<{self.org.url}{self.path}>; rel="self"']
        if following is not None:
            links.append(f'<{self.org.url}{_PATH}?{following}>; rel="next"')
        if fault is not None and kind in ("reset", "cut", "hang", "slow", "not_json", "no_links"):
            self._spoil(fault, body, limit, links)
        else:
            self._send(200, body, limit, links)

    def _refuse(self, fault: Fault) -> None:
        """Faults that are error answers."""
        reset_at = self.org.clock() + fault.seconds
        if fault.kind == "rate_limit":
            headers = limit_headers(self.org._limit.limit, 0, reset_at)
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
            self.org.stopping.wait(fault.seconds)
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
            # Closing with a linger time of 0 sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self._head(200, limit, len(body), links)
            for start in range(0, len(body), max(1, len(body) // 10)):
                self.wfile.write(body[start : start + max(1, len(body) // 10)])
                self.wfile.flush()
                self.org.stopping.wait(fault.seconds / 10)

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
        self.send_header("Date", formatdate(self.org.clock(), usegmt=True))
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
        self.org.record(Request(self.number, self.path, status, self.fault.kind if self.fault else None))

    def log_message(self, format: str, *args: object) -> None:
        _log.debug(format, *args)


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


if __name__ == "__main__":
    from orchestration.demo.simulators.okta.command import main

    main()
