"""The one HTTP client: one request with its whole answer, and one retry policy around it.

Secrets travel as `auth` and nowhere else; no message holds a URL's path or query, a header, or what a library said.
"""

import email.utils
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

from lake.base.errors import HeadwaterError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Clock:
    """`now` gives epoch seconds, `sleep` waits for so many seconds. Tests make hours pass in no time.

    A wait that another thread can end is a `sleep` that raises when it is ended.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


SYSTEM_CLOCK = Clock()


class FailedTry(HeadwaterError):
    """One try gave nothing usable: no whole answer, or one that a judge does not take. Another may, unless `lasting`.

    `reason` is a few words, `wait` the seconds that the server asks for. `may_have_arrived`: the server may have done
    what it was asked.
    """

    def __init__(
        self,
        place: str,
        reason: str,
        *,
        wait: float | None = None,
        may_have_arrived: bool = True,
        lasting: bool = False,
    ) -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason, self.wait = place, reason, wait
        self.may_have_arrived, self.lasting = may_have_arrived, lasting


class GaveUp(HeadwaterError):
    """The bound on all tries is reached. `reason` is that of the last one."""

    def __init__(self, place: str, reason: str, tries: int, seconds: float) -> None:
        super().__init__(f"{place}: {reason}, after {tries} tries in {seconds:.0f} s")
        self.place, self.reason, self.tries, self.seconds = place, reason, tries, seconds


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers (names without regard to case), body. `tries`: how many requests it took.

    `repeated`: an earlier try may have reached the server, so what it asked for may be done twice.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    tries: int = 1
    repeated: bool = False


@dataclass(frozen=True)
class Retry:
    """When and how long to try again.

    `total_seconds` bounds all tries and waits together, `attempts` the tries (None: no bound). Waits double from
    `first_wait` to `longest_wait` seconds, the upper half of each random. What Retry-After asks for is waited at
    least, but never more than `longest_asked`. `statuses` are those that another try may heal; `reason` says why in
    a few words. Only 429 is taken to say that the server has done nothing: a judge of the vendor's may know better.
    """

    total_seconds: float | None = 60.0
    attempts: int | None = None
    first_wait: float = 0.25
    longest_wait: float = 15.0
    longest_asked: float = 300.0
    statuses: Collection[int] = TRANSIENT
    reason: Callable[[Answer], str] = lambda answer: f"status {answer.status}"

    def backoff(self, failures: int) -> float:
        """Return the seconds to wait after the `failures`-th failure, from 1."""
        doubled = self.first_wait * 2.0 ** min(failures - 1, 60)
        return min(self.longest_wait, doubled) * random.uniform(0.5, 1.0)

    def judge(self, answer: Answer, place: str, now: float) -> None:
        """Raise FailedTry when the status is one that another try may heal."""
        if answer.status in self.statuses:
            wait = retry_after(answer.headers, now)
            raise FailedTry(place, self.reason(answer), wait=wait, may_have_arrived=answer.status != 429)


class Tries:
    """The tries of one piece of work under a policy, also where no `HttpClient` sends it (a vendor's own client)."""

    def __init__(self, place: str, policy: Retry, clock: Clock = SYSTEM_CLOCK) -> None:
        self.failures, self._place, self._policy, self._clock = 0, place, policy, clock
        self._started, self._waited = clock.now(), 0.0

    def failed(self, reason: str, asked: float | None = None) -> None:
        """Wait before the next try, at least the seconds that the server asked for.

        Raises:
            GaveUp: a bound is reached.
        """
        self.failures += 1
        policy = self._policy
        wait = max(min(asked or 0.0, policy.longest_asked), policy.backoff(self.failures))
        spent = max(self._waited, self._clock.now() - self._started)  # a clock may be set back
        out_of_time = policy.total_seconds is not None and spent + wait > policy.total_seconds
        if out_of_time or self.failures == policy.attempts:
            raise GaveUp(self._place, reason, self.failures, spent)
        _log.info("%s: %s; trying again in %.1f s", self._place, reason, wait)
        self._clock.sleep(wait)
        self._waited += wait

    def run(self, attempt: Callable[[], _T]) -> _T:
        """Return what `attempt` returns; it is called again when it raises FailedTry.

        Raises:
            FailedTry: it is lasting.
            GaveUp: a bound is reached.
        """
        while True:
            try:
                return attempt()
            except FailedTry as problem:
                if problem.lasting:
                    raise
                failure = problem
            self.failed(failure.reason, failure.wait)


class HeaderAuth(AuthBase):
    """Puts a secret into one header when a request goes out. What `value` raises reaches the caller."""

    def __init__(self, header: str, value: Callable[[], str]) -> None:
        self._header, self._value = header, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        request.headers[self._header] = self._value()
        return request


class _Anonymous(AuthBase):
    """Adds nothing. Without any `auth`, `requests` would send what a .netrc file holds for the host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@dataclass
class HttpClient:
    """Sends requests to one service; threads may share it, and its cookies with it.

    `timeout_seconds` is the longest silence, `answer_seconds` the longest that a body may take, `most_bytes` the
    largest body. Redirects are never followed: credentials go where they were meant to go. `verify` is a file of
    certificates, or whether to check them. `adapter` stands in for the network in tests.
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
    adapter: BaseAdapter | None = None

    def __post_init__(self) -> None:
        self._session = requests.Session()
        pool = HTTPAdapter(pool_connections=self.connections, pool_maxsize=self.connections, max_retries=0)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, self.adapter or pool)

    def close(self) -> None:
        """End connections."""
        self._session.close()

    def exchange(self, method: str, url: str, **request: Any) -> Answer:
        """Return the answer of one try, whatever its status. `request`: `params`, `json`, `data`, `headers`, `auth`.

        Raises:
            FailedTry: no answer, or not a whole one.
        """
        given = {"verify": self.verify, **request}  # with each request, or REQUESTS_CA_BUNDLE would take its place
        given["auth"] = request.get("auth") or self.auth or _Anonymous()
        given["headers"] = {**self.headers, **(request.get("headers") or {})}
        timeout = (min(10.0, self.timeout_seconds), self.timeout_seconds)
        try:
            with self._session.request(
                method, url, timeout=timeout, allow_redirects=False, stream=True, **given
            ) as answer:
                return Answer(answer.status_code, answer.headers, self._body(answer))
        except requests.exceptions.RequestException as problem:
            raise self._failure(place_of(url), problem) from None

    def send(
        self,
        method: str,
        url: str,
        *,
        retry: Retry | None = None,
        judge: Callable[[Answer], object] | None = None,
        **request: Any,
    ) -> Answer:
        """Return the first answer that `judge` takes, tried again within the bounds of `retry`.

        A judge raises FailedTry for what another try may heal, and any other error for what none does. Without one
        the statuses of the policy decide.

        Raises:
            FailedTry: it is lasting.
            GaveUp: a bound was reached.
        """
        policy, place, repeated = retry or self.retry, place_of(url), False
        tries = Tries(place, policy, self.clock)

        def attempt() -> Answer:
            nonlocal repeated
            try:
                answer = self.exchange(method, url, **request)
                if judge is None:
                    policy.judge(answer, place, self.clock.now())
                else:
                    judge(answer)
            except FailedTry as problem:
                repeated = repeated or problem.may_have_arrived
                raise
            return replace(answer, tries=tries.failures + 1, repeated=repeated)

        return tries.run(attempt)

    def _body(self, answer: requests.Response) -> bytes:
        deadline = self.clock.now() + self.answer_seconds
        body, place = bytearray(), place_of(str(answer.url))
        for chunk in answer.iter_content(_CHUNK_BYTES):
            body += chunk
            if self.most_bytes is not None and len(body) > self.most_bytes:
                raise FailedTry(place, f"the answer is larger than {self.most_bytes:,} bytes", lasting=True)
            if self.clock.now() > deadline:
                raise FailedTry(place, f"the answer took longer than {self.answer_seconds:g} s")
        return bytes(body)

    def _failure(self, place: str, problem: requests.exceptions.RequestException) -> FailedTry:
        """Say what an error of `requests` means. Its own words may hold the URL, so they are only looked into."""
        words = str(problem)
        if "CERTIFICATE_VERIFY_FAILED" in words:
            reason = "the server's certificate is not trusted"
            return FailedTry(place, reason, may_have_arrived=False, lasting=True)
        if isinstance(problem, ValueError):  # an address or a header that cannot be sent
            return FailedTry(place, f"no request ({type(problem).__name__})", may_have_arrived=False, lasting=True)
        if isinstance(problem, requests.exceptions.ConnectTimeout):
            seconds = min(10.0, self.timeout_seconds)
            return FailedTry(place, f"no connection within {seconds:g} s", may_have_arrived=False)
        if isinstance(problem, requests.exceptions.Timeout) or "Read timed out" in words:
            return FailedTry(place, f"no answer within {self.timeout_seconds:g} s")
        if isinstance(problem, requests.exceptions.ProxyError):
            return FailedTry(place, "the proxy on the way does not answer", may_have_arrived=False)
        if isinstance(problem, requests.exceptions.ContentDecodingError):
            return FailedTry(place, "the body could not be decompressed")
        unsent = "NewConnectionError" in words or "NameResolutionError" in words
        return FailedTry(place, "no connection" if unsent else "the connection broke", may_have_arrived=not unsent)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that Retry-After asks for (RFC 9110 section 10.2.3: seconds, or a date), None without it.

    A date is measured against the answer's own Date where it has one, so that a wrong clock here does no harm.
    """
    seconds = whole_number(headers, "Retry-After")
    if seconds is not None:
        return float(seconds)
    until, answered_at = http_date(headers, "Retry-After"), http_date(headers, "Date")
    return None if until is None else max(0.0, until - (now if answered_at is None else answered_at))


def http_date(headers: Mapping[str, str], name: str) -> float | None:
    """Return the time in a header (RFC 9110 section 5.6.7) as epoch seconds, None when there is none."""
    try:
        return email.utils.parsedate_to_datetime(headers.get(name, "")).timestamp()
    except (TypeError, ValueError):
        return None


def whole_number(headers: Mapping[str, str], name: str) -> int | None:
    """Return the number in a header, None when it holds none."""
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def place_of(url: str) -> str:
    """Return scheme and host of a URL for messages: no credentials, no path, no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
