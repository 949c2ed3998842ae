"""Fetches a bounded window of a paged HTTP API, page by page, into a durable spool.

Belongs here: following the next link from page to page (`Link: <…>; rel="next"`, RFC 8288, or as the API's `Paging`
says), keeping within the rate budget, waiting and retrying, and telling apart what waiting can heal from what a person
must heal. Not here: what the pages mean and which window to ask for (`ingest/sources/`, `ingest/reference/formats/`),
how pages are kept (`page_spool`).
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from requests.auth import AuthBase

from ingest.transports.clock import SYSTEM_CLOCK, Clock
from ingest.transports.fetch_errors import (
    AccessDenied,
    ExpiredCredentials,
    RateLimited,
    RequestRefused,
    UnexpectedAnswer,
    Unreachable,
)
from ingest.transports.page_spool import PageSpool, SpooledPage, open_spool
from ingest.transports.rate_budget import RateBudget, seconds_to_retry, seconds_until_reset

_log = logging.getLogger(__name__)

_TRANSIENT = {408, 425, 500, 502, 503, 504}
_LINK_IS_GONE = {400, 404, 410}
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How long a fetch keeps trying, per page.

    `timeout_seconds` is the longest silence of the server, `page_seconds` the longest a whole answer may take,
    `max_attempts` counts tries that ended in a 5xx, a timeout or a broken connection; `max_wait_seconds` bounds the
    time spent waiting for a rate limit; the backoff doubles from `backoff_seconds` to `max_backoff_seconds`.
    """

    timeout_seconds: float = 60.0
    page_seconds: float = 300.0
    max_attempts: int = 6
    max_wait_seconds: float = 300.0
    backoff_seconds: float = 1.0
    max_backoff_seconds: float = 60.0

    def backoff(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th failure (from 1): exponential, the upper half of it random."""
        ceiling = min(self.max_backoff_seconds, self.backoff_seconds * 2.0 ** (attempt - 1))
        return ceiling * random.uniform(0.5, 1.0)


class Authorization(Protocol):
    """What puts a request in order: `setting` is what a person has to renew when it is refused."""

    @property
    def setting(self) -> str:
        """The environment variable that holds the secret."""

    def header(self) -> str:
        """The value of the Authorization header."""

    def hide(self, text: str) -> str:
        """`text` without secrets."""


def _link_header(headers: Mapping[str, str], body: bytes) -> str | None:
    links = requests.utils.parse_header_links(headers.get("Link", ""))
    return next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), None)


@dataclass(frozen=True)
class Paging:
    """How an API pages: what gives the next link of an answer (headers, body), and the brackets around a page."""

    next_link: Callable[[Mapping[str, str], bytes], str | None] = _link_header
    brackets: tuple[bytes, bytes] = (b"[", b"]")


@dataclass(frozen=True)
class Window:
    """One bounded question: the address and the parameters of its first page, without secrets."""

    url: str
    params: Mapping[str, str]

    @property
    def first_link(self) -> str:
        """The address of the first page."""
        return f"{self.url}?{urlencode(self.params)}"

    def described(self) -> dict[str, str]:
        """All that decides what the pages hold."""
        return {"url": self.url, **self.params}


@dataclass
class HttpCursor:
    """A client of one API: its credentials, its rate budget and its patience.

    `explain` turns the body of an error answer into a few words for people (an error code, a summary).
    `always_links` is for a server that links every page at least to itself: then a page with records and without any
    link lost its header on the way, and taking it for the last page would lose the rest of the window.
    """

    credentials: Authorization
    budget: RateBudget = field(default_factory=RateBudget)
    patience: Patience = field(default_factory=Patience)
    clock: Clock = SYSTEM_CLOCK
    explain: Callable[[bytes], str] = lambda body: ""
    always_links: bool = False
    paging: Paging = Paging()

    def fetch(self, window: Window, directory: Path) -> list[tuple[Path, SpooledPage]]:
        """All pages of `window`, in order, spooled in `directory`.

        Pages an earlier, interrupted fetch of the same window spooled there are not asked for again. Raises the
        FetchError that says what a person has to do; the pages so far stay in the spool.
        """
        with open_spool(directory, window.described()) as spool, requests.Session() as session:
            try:
                self._fetch_rest(session, window, spool)
            except _LostCursor as lost:
                _log.warning("%s; the window is fetched again from its first page", lost)
                spool.restart()
                self._fetch_rest(session, window, spool)
            return [(spool.path(page), page) for page in spool.pages]

    def _fetch_rest(self, session: requests.Session, window: Window, spool: PageSpool) -> None:
        resumed = bool(spool.pages)
        seen = {page.next for page in spool.pages}
        while not spool.complete:
            link = spool.next or window.first_link
            try:
                body, following = _Page(self, session, link).get()
            except RequestRefused as refused:
                if resumed and refused.status in _LINK_IS_GONE:
                    raise _LostCursor(f"the server no longer takes the link of an earlier fetch ({refused})") from None
                raise
            if following in seen:
                raise UnexpectedAnswer(f"{_place(link)}: the next link leads back to a page that was already read")
            seen.add(following)
            spool.append(body, following)
            resumed = False


class _LostCursor(Exception):
    """The link an interrupted fetch left behind is not valid any more."""


class _Retry(Exception):
    """This try gave no page; another one may."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Throttled(_Retry):
    """This try was refused by a rate limit."""


class _Page:
    """The tries for one page."""

    def __init__(self, cursor: HttpCursor, session: requests.Session, link: str) -> None:
        self._cursor = cursor
        self._session = session
        self._link = link
        self._waited = 0.0

    def get(self) -> tuple[bytes, str | None]:
        """The body of the page and the link to the next one."""
        patience = self._cursor.patience
        failures = throttled = 0
        while True:
            self._wait_for_limit(self._cursor.budget.seconds_to_wait(), "our share of the rate limit is used up")
            try:
                return self._try_once()
            except _Throttled as refused:
                throttled += 1
                # The reset of a concurrency limit is only an estimate: never come back sooner each time.
                self._wait_for_limit(max(refused.wait or 0.0, patience.backoff(throttled)), str(refused))
            except _Retry as failed:
                failures += 1
                if failures >= patience.max_attempts:
                    raise Unreachable(
                        f"{_place(self._link)}: no page after {failures} attempts, the last one: {failed}; "
                        "run it again when the server is well, the fetch goes on from here"
                    ) from failed.__cause__
                wait = min(max(failed.wait or 0.0, patience.backoff(failures)), patience.max_wait_seconds)
                _log.warning("%s: %s; trying again in %.1f s", _place(self._link), failed, wait)
                self._cursor.clock.sleep(wait)

    def _wait_for_limit(self, seconds: float, reason: str) -> None:
        if seconds <= 0:
            return
        allowed = self._cursor.patience.max_wait_seconds
        if self._waited + seconds > allowed:
            raise RateLimited(
                f"{_place(self._link)}: {reason}; the next request may go out in {seconds:.0f} s, which is longer than "
                f"the {allowed:.0f} s a page may wait in all ({self._waited:.0f} s waited); run it again later, "
                "the fetch goes on from here"
            )
        _log.info("%s: %s; waiting %.1f s", _place(self._link), reason, seconds)
        self._waited += seconds
        self._cursor.clock.sleep(seconds)

    def _try_once(self) -> tuple[bytes, str | None]:
        status, headers, body = self._ask()
        self._cursor.budget.observe(status, headers)
        if status == HTTPStatus.OK:
            _check_page(headers, body, self._cursor.paging)
            if self._cursor.always_links and "Link" not in headers and body.strip(b"[] \t\r\n"):
                raise _Retry("the answer has no Link header, so it is unknown whether more pages follow")
            return body, self._next_link(headers, body)
        raise self._failure(status, headers, body)

    def _ask(self) -> tuple[int, Mapping[str, str], bytes]:
        """One request and its whole answer; raises _Retry when the answer did not come, or not whole."""
        patience = self._cursor.patience
        try:
            with self._session.get(
                self._link,
                auth=_HeaderAuth(self._cursor.credentials),
                headers={"Accept": "application/json"},
                timeout=(min(10.0, patience.timeout_seconds), patience.timeout_seconds),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return answer.status_code, answer.headers, self._read(answer)
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Unreachable(f"{_place(self._link)}: the server's certificate is not trusted") from error
            raise _Retry("the connection broke") from error
        except requests.exceptions.Timeout as error:
            raise _Retry(f"no answer within {patience.timeout_seconds:g} s") from error
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise _Retry("the connection broke") from error
        except requests.exceptions.ContentDecodingError as error:
            raise _Retry("the body could not be decompressed") from error

    def _read(self, answer: requests.Response) -> bytes:
        clock, patience = self._cursor.clock, self._cursor.patience
        deadline = clock.now() + patience.page_seconds
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK_BYTES):
            body += chunk
            if clock.now() > deadline:
                raise _Retry(f"the answer took longer than {patience.page_seconds:g} s")
        return bytes(body)

    def _failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
        """What a status other than 200 means."""
        credentials, now = self._cursor.credentials, self._cursor.clock.now()
        words = credentials.hide(" ".join([str(status), self._cursor.explain(body)]).strip())
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return _Throttled(f"rate limit ({words})", _wait_asked(headers, now))
        if status in _TRANSIENT:
            return _Retry(f"the server failed ({words})", seconds_to_retry(headers, now))
        if status == HTTPStatus.UNAUTHORIZED:
            return ExpiredCredentials(
                f"{_place(self._link)}: the credentials in {credentials.setting} were refused ({words}): expired, "
                f"revoked or of another tenant; renew them and set {credentials.setting}"
            )
        if status == HTTPStatus.FORBIDDEN:
            return AccessDenied(
                f"{_place(self._link)}: the credentials in {credentials.setting} may not read this ({words}); "
                "give them the right to, or use others"
            )
        return RequestRefused(f"{_place(self._link)}: the request was refused ({words})", status)

    def _next_link(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """The link to the next page; it must stay where the credentials were meant to go."""
        try:
            target = self._cursor.paging.next_link(headers, body)
        except ValueError as error:
            raise _Retry(f"the page cannot be read: {error}") from None
        if target is None:
            return None
        following = urljoin(self._link, target)
        if urlsplit(following)[:2] != urlsplit(self._link)[:2]:
            raise UnexpectedAnswer(
                f"{_place(self._link)}: the next link leads to another server ({_place(following)}); "
                "the credentials are not sent there"
            )
        return following


class _HeaderAuth(AuthBase):
    """Puts the credentials on the request and nowhere else; given as `auth`, so that no .netrc overrides them."""

    def __init__(self, credentials: Authorization) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._credentials.header()
        return request


def _wait_asked(headers: Mapping[str, str], now: float) -> float | None:
    asked = seconds_to_retry(headers, now)
    return seconds_until_reset(headers, now) if asked is None else asked


def _check_page(headers: Mapping[str, str], body: bytes, paging: Paging) -> None:
    """A page is a JSON array, or what the API has; a body of no announced length must also parse, else it may be half.

    A body that HTTP says is whole is taken as it is even when a record inside is broken: that record is landing's to
    quarantine, and asking again would stall the window for ever.
    """
    text = body.strip()
    first, last = paging.brackets
    if not (text.startswith(first) and text.endswith(last)):
        kind = headers.get("Content-Type", "no content type")
        wanted = "a JSON array" if first == b"[" else "a JSON object"
        raise _Retry(f"the answer is not {wanted} ({kind}, {len(body)} bytes)")
    if "Content-Length" not in headers and "chunked" not in headers.get("Transfer-Encoding", "").lower():
        try:
            json.loads(body)
        except ValueError as error:
            raise _Retry(f"the answer ends too early ({len(body)} bytes)") from error


def _place(link: str) -> str:
    """The address without its parameters, for messages."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
