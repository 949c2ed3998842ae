"""The one HTTP client: one request with its whole answer, and one retry policy around it.

What belongs here: sending, bounds on time and size, Retry-After, jitter, a bound on all tries, an injected clock. What
does not: what an answer means (the vendor's own file), pages and budgets (`ingest.transports`).

Secrets travel as `auth` and nowhere else; no message holds a URL's query, a header or what a library said.
"""

import email.utils
import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from lake.base.errors import HeadwaterError

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Clock:
    """`now` gives epoch seconds, `sleep` waits for so many seconds. Tests make hours pass in no time."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


SYSTEM_CLOCK = Clock()


class NoAnswer(HeadwaterError):
    """A request got no whole answer. `reason` is a few words; `may_have_arrived` says that the server may have acted.

    `lasting`: another try cannot help (an untrusted certificate).
    """

    def __init__(self, place: str, reason: str, *, may_have_arrived: bool = True, lasting: bool = False) -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason, self.may_have_arrived, self.lasting = place, reason, may_have_arrived, lasting


class GaveUp(HeadwaterError):
    """The bound on all tries is reached; the message tells the last reason."""


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers (names without regard to case), body. `tries`: how many requests it took.

    `repeated`: an earlier try may have reached the server without an answer, so what it asked for may be done twice.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    tries: int = 1
    repeated: bool = False


@dataclass(frozen=True)
class Retry:
    """When and how long to try again.

    `total_seconds` bounds all waits together (None: no bound), `attempts` the tries (None: no bound). Waits double from
    `first_wait` to `longest_wait` seconds, the upper half of each random; what Retry-After asks for is waited at least.
    """

    total_seconds: float | None = 60.0
    attempts: int | None = None
    first_wait: float = 0.25
    longest_wait: float = 15.0
    statuses: Collection[int] = TRANSIENT
    untouched: Callable[[Answer], bool] = lambda answer: answer.status in (429, 503)
    reason: Callable[[Answer], str] = lambda answer: f"status {answer.status}"

    def backoff(self, failures: int) -> float:
        """Return the seconds to wait after the `failures`-th failure, from 1."""
        return min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)


class Tries:
    """The tries of one piece of work under a policy, also where no `HttpClient` sends it (a vendor's own client)."""

    def __init__(self, place: str, policy: Retry, clock: Clock = SYSTEM_CLOCK) -> None:
        self.failures, self._place, self._policy, self._clock = 0, place, policy, clock
        self._started = clock.now()

    def failed(self, reason: str, asked: float | None = None) -> None:
        """Wait before the next try, at least the seconds that the server asked for.

        Raises:
            GaveUp: the bound is reached.
        """
        self.failures += 1
        wait = max(asked or 0.0, self._policy.backoff(self.failures))
        spent, bound = self._clock.now() - self._started, self._policy.total_seconds
        if self.failures == self._policy.attempts or (bound is not None and spent + wait > bound):
            raise GaveUp(f"{self._place}: {reason}, after {self.failures} tries in {spent:.0f} s")
        self._clock.sleep(wait)


class HeaderAuth(AuthBase):
    """Puts a secret into one header when a request goes out; given as `auth`, so that no .netrc overrides it."""

    def __init__(self, header: str, value: Callable[[], str]) -> None:
        self._header, self._value = header, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        request.headers[self._header] = self._value()
        return request


@dataclass
class HttpClient:
    """Sends requests to one service; threads may share it.

    `timeout_seconds` is the longest silence, `answer_seconds` the longest a whole answer may take, `most_bytes` the
    largest body. Redirects are never followed: credentials go where they were meant to go.
    """

    auth: AuthBase | None = None
    timeout_seconds: float = 60.0
    answer_seconds: float = 300.0
    most_bytes: int | None = None
    verify: bool | str = True
    connections: int = 10
    retry: Retry = Retry()
    clock: Clock = SYSTEM_CLOCK
    headers: Mapping[str, str] = field(default_factory=lambda: {"User-Agent": "headwater"})

    def __post_init__(self) -> None:
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=self.connections, max_retries=0)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)

    def close(self) -> None:
        """End connections."""
        self._session.close()

    def exchange(self, method: str, url: str, **request: Any) -> Answer:
        """Return the answer of one try, whatever its status. `request`: `params`, `json`, `data`, `headers`, `auth`.

        Raises:
            NoAnswer: no answer, or not a whole one.
        """
        place = place_of(url)
        connect = min(10.0, self.timeout_seconds)
        given = {"auth": self.auth, "verify": self.verify, **request}
        given["headers"] = {**self.headers, **(request.get("headers") or {})}
        try:
            with self._session.request(
                method, url, timeout=(connect, self.timeout_seconds), allow_redirects=False, stream=True, **given
            ) as answer:
                return Answer(answer.status_code, answer.headers, self._body(answer, place))
        except requests.exceptions.SSLError as problem:
            if "CERTIFICATE_VERIFY_FAILED" in str(problem):
                reason = "the server's certificate is not trusted"
                raise NoAnswer(place, reason, may_have_arrived=False, lasting=True) from None
            raise NoAnswer(place, "the connection broke") from None
        except requests.exceptions.ConnectTimeout:
            raise NoAnswer(place, f"no connection within {connect:g} s", may_have_arrived=False) from None
        except requests.exceptions.Timeout:
            raise NoAnswer(place, f"no answer within {self.timeout_seconds:g} s") from None
        except requests.exceptions.ProxyError:
            raise NoAnswer(place, "the proxy on the way does not answer", may_have_arrived=False) from None
        except requests.exceptions.ContentDecodingError:
            raise NoAnswer(place, "the body could not be decompressed") from None
        except requests.exceptions.RequestException as problem:
            never_sent = "NewConnectionError" in repr(problem) or "NameResolutionError" in repr(problem)
            raise NoAnswer(place, "the connection broke", may_have_arrived=not never_sent) from None

    def send(self, method: str, url: str, *, retry: Retry | None = None, **request: Any) -> Answer:
        """Return the first answer whose status is final, tried again within the bound of `retry`.

        Raises:
            NoAnswer: it is lasting.
            GaveUp: the bound was reached.
        """
        policy = retry or self.retry
        tries, repeated = Tries(place_of(url), policy, self.clock), False
        while True:
            asked: float | None = None
            try:
                answer = self.exchange(method, url, **request)
            except NoAnswer as problem:
                if problem.lasting:
                    raise
                repeated, reason = repeated or problem.may_have_arrived, problem.reason
            else:
                if answer.status not in policy.statuses:
                    return replace(answer, tries=tries.failures + 1, repeated=repeated)
                asked, reason = retry_after(answer.headers, self.clock.now()), policy.reason(answer)
                repeated = repeated or not policy.untouched(answer)
            tries.failed(reason, asked)

    def _body(self, answer: requests.Response, place: str) -> bytes:
        deadline = self.clock.now() + self.answer_seconds
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK_BYTES):
            body += chunk
            if self.most_bytes is not None and len(body) > self.most_bytes:
                raise NoAnswer(place, f"the answer is larger than {self.most_bytes:,} bytes", lasting=True)
            if self.clock.now() > deadline:
                raise NoAnswer(place, f"the answer took longer than {self.answer_seconds:g} s")
        return bytes(body)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that Retry-After asks for (RFC 9110 section 10.2.3: seconds, or a date), None without it."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now) if text else None
    except (TypeError, ValueError):
        return None


def place_of(url: str) -> str:
    """Return scheme and host of a URL for messages: no credentials, no path, no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
