"""The poller of paged HTTP APIs: fetches a bounded window page by page into a durable spool."""

import json
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

import requests
from requests.adapters import BaseAdapter

from ingest.transports.authorization import Authorization
from ingest.transports.fetch_errors import (
    AccessDenied,
    ExpiredCredentials,
    FetchError,
    RateLimited,
    RequestRefused,
    UnexpectedAnswer,
    Unreachable,
    WindowNotSettled,
)
from ingest.transports.page_spool import PageSpool, SpooledPage, open_spool
from ingest.transports.rate_budget import RateBudget
from lake.base.http import (
    SYSTEM_CLOCK,
    Answer,
    Clock,
    FailedTry,
    GaveUp,
    HttpClient,
    Retry,
    Tries,
    http_date,
    retry_after,
)

_log = logging.getLogger(__name__)

_TRANSIENT = {408, 425, 500, 502, 503, 504}
_LINK_IS_GONE = {400, 404, 410}
_NOTHING = b"null"  # the page of a link that the server has nothing behind any more


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

    @property
    def retry(self) -> Retry:
        """Return it as the client takes it."""
        return Retry(
            total_seconds=None,
            attempts=self.max_attempts,
            first_wait=self.backoff_seconds,
            longest_wait=min(self.max_backoff_seconds, self.max_wait_seconds),
            longest_asked=self.max_wait_seconds,
        )


def link_header(_: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """The address that the Link header names as the next one."""
    links = requests.utils.parse_header_links(headers.get("Link", ""))
    return next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), None)


@dataclass(frozen=True)
class Paging:
    """How an API pages: what gives the next link of an answer (link, headers, body), and the brackets around a page."""

    next_link: Callable[[str, Mapping[str, str], bytes], str | None] = link_header
    brackets: tuple[bytes, bytes] = (b"[", b"]")


@dataclass(frozen=True)
class Window:
    """One bounded question: the address and the parameters of its first page, without secrets.

    With a `body` it is a POST of JSON. A link has that behind a `#`, where no address has anything that is sent.
    """

    url: str
    params: Mapping[str, str]
    body: Mapping[str, Any] | None = None

    @property
    def first_link(self) -> str:
        """The address of the first page."""
        url = f"{self.url}?{urlencode(self.params)}" if self.params else self.url
        return url if self.body is None else with_body(url, self.body)

    def described(self) -> dict[str, str]:
        """All that decides what the pages hold."""
        return {"url": self.url, **self.params, **({} if self.body is None else {"body": json.dumps(self.body)})}


def with_body(link: str, body: Mapping[str, Any]) -> str:
    """A link with another body."""
    return f"{link.partition('#')[0]}#{quote(json.dumps(body))}"


def body_of(link: str) -> dict[str, Any] | None:
    """The body that a link is posted with; None for a GET."""
    text = link.partition("#")[2]
    return dict(json.loads(unquote(text))) if text else None


@dataclass
class HttpPoller:
    """A client of one API: its credentials, its rate budget and its patience.

    `explain` turns the body of an error answer into a few words for people (an error code, a summary).
    `always_links` is for a server that links every page at least to itself: then a page with records and without any
    link lost its header on the way, and taking it for the last page would lose the rest of the window. `throttled` are
    words of an error that mean the same as 429. `gone` says whether a status and an error's words mean that there is
    nothing behind a link any more: its page is then `null`. `begin` may do what an error's words ask for, once a page,
    and says whether it did. No page is taken from a server whose own clock says that it is before `earliest` (epoch
    seconds).
    """

    credentials: Authorization
    budget: RateBudget = field(default_factory=RateBudget)
    patience: Patience = field(default_factory=Patience)
    clock: Clock = SYSTEM_CLOCK
    explain: Callable[[bytes], str] = lambda body: ""
    always_links: bool = False
    paging: Paging = Paging()
    throttled: Collection[str] = ()
    gone: Callable[[int, str], bool] = lambda status, words: False
    begin: Callable[[HttpClient, str], bool] = lambda client, words: False
    earliest: float = 0.0
    adapter: BaseAdapter | None = None  # stands in for the network in tests

    def fetch(self, window: Window, directory: Path) -> list[tuple[Path, SpooledPage]]:
        """All pages of `window`, in order, spooled in `directory`.

        Pages an earlier, interrupted fetch of the same window spooled there are not asked for again. Raises the
        FetchError that says what a person has to do; the pages so far stay in the spool.
        """
        client = HttpClient(
            auth=self.credentials.auth,
            timeout_seconds=self.patience.timeout_seconds,
            answer_seconds=self.patience.page_seconds,
            clock=self.clock,
            adapter=self.adapter,
        )
        with open_spool(directory, window.described()) as spool, closing(client):
            try:
                self._fetch_rest(client, window, spool)
            except _LostCursor as lost:
                _log.warning("%s; the window is fetched again from its first page", lost)
                spool.restart()
                spool.restarted = True
                self._fetch_rest(client, window, spool)
            return [(spool.path(page), page) for page in spool.pages]

    def _fetch_rest(self, client: HttpClient, window: Window, spool: PageSpool) -> None:
        seen = {page.next for page in spool.pages}
        while not spool.complete:
            link = spool.next or window.first_link
            try:
                body, following = _Page(self, client, link).get()
            except RequestRefused as refused:
                if spool.pages and not spool.restarted and refused.status in _LINK_IS_GONE:
                    raise _LostCursor(f"the server no longer takes the link of an earlier page ({refused})") from None
                raise
            if following in seen:
                raise UnexpectedAnswer(
                    f"{_place(link)}: the next link leads back to a page that was already read; run it again later,"
                    " the fetch goes on from here"
                )
            seen.add(following)
            spool.append(body, following)


class _LostCursor(Exception):
    """The link to the next page, perhaps of an interrupted fetch, is not valid any more."""


class _Page:
    """The tries for one page."""

    def __init__(self, poller: HttpPoller, client: HttpClient, link: str) -> None:
        self._poller, self._client, self._link = poller, client, link
        self._place = _place(link)
        self._policy = poller.patience.retry
        self._throttled, self._waited = 0, 0.0
        self._renewed = self._begun = False

    def get(self) -> tuple[bytes, str | None]:
        """The body of the page and the link to the next one."""
        try:
            return Tries(self._place, self._policy, self._poller.clock).run(self._try_once)
        except GaveUp as end:
            raise Unreachable(
                f"{self._place}: no page after {end.tries} attempts, the last one: {end.reason}; "
                "run it again when the server is well, the fetch goes on from here"
            ) from None
        except FailedTry as lasting:
            raise Unreachable(f"{self._place}: {lasting.reason}") from None

    def _try_once(self) -> tuple[bytes, str | None]:
        """One answer that is no 429: the page, or what its status means. Waiting for a rate limit is no failed try."""
        poller = self._poller
        while True:
            self._wait_for_limit(poller.budget.seconds_to_wait(), "our share of the rate limit is used up")
            poller.budget.sent()
            answer = self._ask()
            throttled = self._is_throttled(answer)
            poller.budget.observe(HTTPStatus.TOO_MANY_REQUESTS if throttled else answer.status, answer.headers)
            if answer.status == HTTPStatus.OK:
                self._check_clock(answer)
                return answer.body, self._checked_next_link(answer)
            if poller.gone(answer.status, self._words(answer)):
                return _NOTHING, poller.paging.next_link(self._link, answer.headers, _NOTHING)
            if not throttled:
                if self._is_healed(answer):
                    continue
                raise self._failure(answer)
            self._throttled += 1
            now = poller.clock.now()
            asked = retry_after(answer.headers, now)
            asked = poller.budget.seconds_until_reset(answer.headers) if asked is None else asked
            # The reset of a concurrency limit is only an estimate: never come back sooner each time.
            wait = max(asked or 0.0, self._policy.backoff(self._throttled))
            self._wait_for_limit(wait, f"rate limit ({self._words(answer)})")

    def _ask(self) -> Answer:
        url, _, _ = self._link.partition("#")
        body, headers = body_of(self._link), {"Accept": "application/json"}
        if body is None:
            return self._client.exchange("GET", url, headers=headers)
        return self._client.exchange("POST", url, headers=headers, json=body)

    def _is_throttled(self, answer: Answer) -> bool:
        """Whether an answer says that there were too many requests: 429, a 403 with a time, the vendor's own word."""
        if answer.status == HTTPStatus.FORBIDDEN and (
            "Retry-After" in answer.headers or self._poller.budget.nothing_left(answer.headers)
        ):
            return True
        if answer.status in (HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS):
            return answer.status != HTTPStatus.OK
        words = self._poller.explain(answer.body)
        return any(each in words for each in self._poller.throttled)

    def _is_healed(self, answer: Answer) -> bool:
        """Whether something was done about a refusal, once a page: another token, or what has to come first."""
        if answer.status == HTTPStatus.UNAUTHORIZED and not self._renewed:
            self._renewed = True
            return self._poller.credentials.forget()
        if not self._begun and self._poller.begin(self._client, self._words(answer)):
            self._begun = True
            return True
        return False

    def _check_clock(self, answer: Answer) -> None:
        told, earliest = http_date(answer.headers, "Date"), self._poller.earliest
        if told is not None and told < earliest:
            raise WindowNotSettled(
                f"{self._place}: the server's clock is {earliest - told:.0f} s before the time from which this hour may"
                " be fetched; correct the clock of this machine, or run it again later"
            )

    def _wait_for_limit(self, seconds: float, reason: str) -> None:
        if seconds <= 0:
            return
        allowed = self._poller.patience.max_wait_seconds
        if self._waited + seconds > allowed:
            raise RateLimited(
                f"{self._place}: {reason}; the next request may go out in {seconds:.0f} s, which is longer than "
                f"the {allowed:.0f} s a page may wait in all ({self._waited:.0f} s waited); run it again later, "
                "the fetch goes on from here"
            )
        _log.info("%s: %s; waiting %.1f s", self._place, reason, seconds)
        self._waited += seconds
        self._poller.clock.sleep(seconds)

    def _failure(self, answer: Answer) -> FetchError | FailedTry:
        """What a status other than 200 and 429 means."""
        setting, words = self._poller.credentials.setting, self._words(answer)
        if answer.status in _TRANSIENT:
            wait = retry_after(answer.headers, self._poller.clock.now())
            return FailedTry(self._place, f"the server failed ({words})", wait=wait)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return ExpiredCredentials(
                f"{self._place}: the credentials in {setting} were refused ({words}): expired, revoked or of another "
                f"tenant; renew them and set {setting}"
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return AccessDenied(
                f"{self._place}: the credentials in {setting} may not read this ({words}); give them the right to, "
                "or use others"
            )
        return RequestRefused(f"{self._place}: the request was refused ({words})", answer.status)

    def _words(self, answer: Answer) -> str:
        words = f"{answer.status} {self._poller.explain(answer.body)}".strip()
        return self._poller.credentials.hide(words)

    def _checked_next_link(self, answer: Answer) -> str | None:
        """The link to the next page, which must stay where the credentials were meant to go.

        A page is a JSON array, or what the API has; a body of no announced length must also parse, else it may be half.
        A body that HTTP says is whole is taken as it is even when a record inside is broken: that record is landing's
        to quarantine, and asking again would stall the window for ever.
        """
        headers, body, paging = answer.headers, answer.body, self._poller.paging
        text, (first, last) = body.strip(), paging.brackets
        if not (text.startswith(first) and text.endswith(last)):
            kind = headers.get("Content-Type", "no content type")
            wanted = "a JSON array" if first == b"[" else "a JSON object"
            raise FailedTry(self._place, f"the answer is not {wanted} ({kind}, {len(body)} bytes)")
        if "Content-Length" not in headers and "chunked" not in headers.get("Transfer-Encoding", "").lower():
            try:
                json.loads(body)
            except ValueError:
                raise FailedTry(self._place, f"the answer ends too early ({len(body)} bytes)") from None
        if self._poller.always_links and "Link" not in headers and body.strip(b"[] \t\r\n"):
            reason = "the answer has no Link header, so it is unknown whether more pages follow"
            raise FailedTry(self._place, reason)
        try:
            target = paging.next_link(self._link, headers, body)
        except ValueError as error:
            raise FailedTry(self._place, f"the page cannot be read: {error}") from None
        return None if target is None else self._joined(target)

    def _joined(self, target: str) -> str:
        try:
            following = urljoin(self._link, target)
            stays = urlsplit(following)[:2] == urlsplit(self._link)[:2]
        except ValueError:
            raise UnexpectedAnswer(f"{self._place}: the next link is no address") from None
        if not stays:
            raise UnexpectedAnswer(
                f"{self._place}: the next link leads to another server ({_place(following)}); "
                "the credentials are not sent there"
            )
        return following


def _place(link: str) -> str:
    """The address without its parameters, for messages."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
