"""One HTTP request to a provider: the key goes into its header and nowhere else, and every failure is one sentence.

What belongs here: sending, the limits of the answer (time, size), telling failures apart, following redirects of
providers that need no key. What does not: budgets and waiting (`asking`), what an answer means (`providers/`).
"""

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from ingest.transports.clock import SYSTEM_CLOCK, Clock
from ingest.transports.credentials import Credentials
from ingest.transports.fetch_errors import FetchError
from ingest.transports.rate_budget import seconds_to_retry, seconds_until_reset

_MOST_BYTES = 8 << 20  # of an answer; a whole VirusTotal report of an address has about 30 kB
_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}


class LookupFailed(FetchError):
    """No answer now: 5xx, a timeout, a broken connection or body. Another try, later, may give one."""


class Throttled(FetchError):
    """The provider's own limit is reached (429). `wait` says for how many seconds, where the answer did."""

    def __init__(self, message: str, wait: float | None) -> None:
        super().__init__(message)
        self.wait = wait


class KeyRefused(FetchError):
    """401 or 403: the key is wrong, expired, or not allowed to ask this."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status and its body as JSON. `remaining` is what X-RateLimit-Remaining said, if anything."""

    status: int
    body: Any
    headers: Mapping[str, str]


def _free(requests: int) -> None:
    """Charge nothing."""


@dataclass
class Client:
    """Sends requests of one provider. `charge` is called before each with how much it costs, and may raise.

    `header` is the header that takes the key, None for a provider without one. Statuses in `answers` are the provider's
    to understand; others become errors.
    """

    name: str
    base_url: str
    key_env: str | None = None
    header: str | None = None
    timeout_seconds: float = 30.0
    clock: Clock = SYSTEM_CLOCK
    charge: Callable[[int], None] = _free
    observe: Callable[[Mapping[str, str]], None] = field(default=lambda headers: None)
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def credentials(self) -> Credentials | None:
        """The key, by the name of its variable."""
        return Credentials(self.key_env, "") if self.key_env and self.header else None

    def get(self, path: str, params: Mapping[str, str] | None = None, answers: tuple[int, ...] = (200, 404)) -> Reply:
        """Return the answer to a GET. `path` starts at the base URL, or is a whole URL for a provider without key."""
        return self._send("GET", path, params, None, answers, 1)

    def post(self, path: str, body: Any, cost: int = 1, answers: tuple[int, ...] = (200, 404)) -> Reply:
        """Return the answer to a POST of JSON."""
        return self._send("POST", path, None, body, answers, cost)

    def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, body: Any, answers: tuple[int, ...], cost: int
    ) -> Reply:
        url = path if "://" in path else f"{self.base_url}/{path}"
        for _ in range(_MOST_REDIRECTS + 1):
            self._refuse_without_key()
            self.charge(cost)
            status, headers, content = self._exchange(method, url, params, body)
            self.observe(headers)
            if status in _REDIRECTS and self.header is None:
                url, params = self._next(url, headers), None
                continue
            if status in answers:
                return Reply(status, self._parsed(url, status, content), headers)
            raise self._failure(url, status, headers, content)
        raise LookupFailed(f"{self.name}: {_place(url)} redirects more than {_MOST_REDIRECTS} times")

    def _refuse_without_key(self) -> None:
        if (credentials := self.credentials) is not None:
            credentials.header()  # MissingCredentials, before anything is spent

    def _exchange(
        self, method: str, url: str, params: Mapping[str, str] | None, body: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request and its whole answer. Raises LookupFailed, whose text never holds what a library said of it."""
        try:
            with self.session.request(
                method,
                url,
                params=params,
                json=body,
                auth=_KeyAuth(self.header, self.credentials),
                headers={"Accept": "application/rdap+json, application/json", "User-Agent": "headwater"},
                timeout=(min(10.0, self.timeout_seconds), self.timeout_seconds),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return answer.status_code, answer.headers, self._read(answer)
        except requests.exceptions.Timeout:
            raise LookupFailed(f"{self.name}: no answer from {_place(url)} in {self.timeout_seconds:g} s") from None
        except requests.exceptions.SSLError:
            raise LookupFailed(f"{self.name}: the certificate of {_place(url)} is not trusted") from None
        except requests.exceptions.ProxyError:
            raise LookupFailed(f"{self.name}: the proxy on the way to {_place(url)} does not answer") from None
        except requests.exceptions.RequestException as problem:
            raise LookupFailed(f"{self.name}: no answer from {_place(url)} ({type(problem).__name__})") from None

    def _read(self, answer: requests.Response) -> bytes:
        deadline = self.clock.now() + 4 * self.timeout_seconds
        body = bytearray()
        for chunk in answer.iter_content(1 << 16):
            body += chunk
            if len(body) > _MOST_BYTES or self.clock.now() > deadline:
                raise LookupFailed(f"{self.name}: the answer of {_place(answer.url)} does not end")
        return bytes(body)

    def _parsed(self, url: str, status: int, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            if status == HTTPStatus.NOT_FOUND:
                return None  # "not known" needs no words
            raise LookupFailed(f"{self.name}: the answer of {_place(url)} is no JSON ({len(content)} bytes)") from None

    def _next(self, url: str, headers: Mapping[str, str]) -> str:
        """Return where a redirect leads. Raises LookupFailed for places that no public provider has."""
        to = urljoin(url, headers.get("Location", ""))
        place, before = urlsplit(to), urlsplit(url)
        if place.scheme not in ("https", before.scheme) or not place.hostname:
            raise LookupFailed(f"{self.name}: {_place(url)} redirects to something that is no https address")
        if not _is_public_host(place.hostname) and _is_public_host(urlsplit(self.base_url).hostname or ""):
            raise LookupFailed(f"{self.name}: {_place(url)} redirects to an address that is not public")
        return to

    def _failure(self, url: str, status: int, headers: Mapping[str, str], content: bytes) -> FetchError:
        words = self._words(status, content)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(f"{self.name}: its own limit is reached ({words})", wait_asked(headers, self.clock.now()))
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and self.header:
            return KeyRefused(
                f"{self.name}: the key in {self.key_env} was refused ({words}); set {self.key_env} to one that may ask"
            )
        return LookupFailed(f"{self.name}: {_place(url)} failed ({words})")

    def _words(self, status: int, content: bytes) -> str:
        """Return status and what the body says of it, shortened, without the key should it be repeated there."""
        said = " ".join(content[:2000].decode("utf-8", "replace").split())
        hidden = self.credentials.hide(said) if self.credentials else said
        return f"{status} {hidden[:200]}".strip()


class _KeyAuth(AuthBase):
    """Puts the key on the request and nowhere else; given as `auth`, so that no .netrc overrides it."""

    def __init__(self, header: str | None, credentials: Credentials | None) -> None:
        self._header, self._credentials = header, credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._header and self._credentials:
            request.headers[self._header] = self._credentials.header().strip()
        return request


def wait_asked(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many seconds an answer asks to be left alone: Retry-After, else X-RateLimit-Reset (epoch)."""
    asked = seconds_to_retry(headers, now)
    if asked is not None:
        return asked
    spelled = {"X-Rate-Limit-Reset": headers.get("X-RateLimit-Reset", ""), "Date": headers.get("Date", "")}
    return seconds_until_reset(spelled, now)


def _is_public_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return host != "localhost" and "." in host


def _place(url: str) -> str:
    """The address without what was asked: an observable in a path is left out too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
