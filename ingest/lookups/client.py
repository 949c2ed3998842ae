"""One request to a provider: what it costs, what its answer means, and one sentence for every failure."""

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

from ingest.transports.authorization import Credentials
from ingest.transports.fetch_errors import FetchError
from ingest.transports.rate_budget import seconds_until_reset
from lake.base.http import SYSTEM_CLOCK, Answer, Clock, FailedTry, HeaderAuth, HttpClient, place_of, retry_after

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
    """An answer: its status, and its body as JSON (None for a 404 without one)."""

    status: int
    body: Any


class Client:
    """Sends requests of one provider, each once; threads do not share it.

    `header` takes the key of the variable `key_env`; both None for a provider without one. `charge` is called before
    each request with what it costs, and may raise; `observe` sees the headers of each answer.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        key_env: str | None = None,
        header: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        clock: Clock = SYSTEM_CLOCK,
        charge: Callable[[int], None] = lambda cost: None,
        observe: Callable[[Mapping[str, str]], None] = lambda headers: None,
    ) -> None:
        self.name, self.base_url, self.clock = name, base_url, clock
        self._key_env, self._charge, self._observe = key_env, charge, observe
        self._credentials = Credentials(key_env) if key_env and header else None
        self._http = HttpClient(
            auth=HeaderAuth(header, self._credentials.header) if header and self._credentials else None,
            timeout_seconds=timeout_seconds,
            answer_seconds=4 * timeout_seconds,
            most_bytes=_MOST_BYTES,
            clock=clock,
            headers={"Accept": "application/rdap+json, application/json", "User-Agent": "headwater"},
        )

    def get(self, path: str, params: Mapping[str, str] | None = None, answers: tuple[int, ...] = (200, 404)) -> Reply:
        """Return the answer to a GET. `path` starts at the base URL, or is a whole URL for a provider without key.

        Statuses in `answers` are the provider's to understand; others become errors.

        Raises:
            LookupFailed, Throttled, KeyRefused, MissingCredentials.
        """
        return self._send("GET", path, answers, 1, params=params)

    def post(self, path: str, body: Any, cost: int = 1, answers: tuple[int, ...] = (200, 404)) -> Reply:
        """Return the answer to a POST of JSON. Raises as `get` does."""
        return self._send("POST", path, answers, cost, json=body)

    def _send(self, method: str, path: str, answers: tuple[int, ...], cost: int, **request: Any) -> Reply:
        url = path if "://" in path else f"{self.base_url}/{path}"
        for _ in range(_MOST_REDIRECTS + 1):
            if self._credentials is not None:
                self._credentials.header()  # MissingCredentials, before anything is spent
            self._charge(cost)
            try:
                answer = self._http.exchange(method, url, **request)
            except FailedTry as problem:
                raise LookupFailed(f"{self.name}: {problem}") from None
            self._observe(answer.headers)
            if answer.status in _REDIRECTS and self._credentials is None:
                url, request = self._next(url, answer), {}
                continue
            if answer.status in answers:
                return Reply(answer.status, self._parsed(url, answer))
            raise self._failure(url, answer)
        raise LookupFailed(f"{self.name}: {place_of(url)} redirects more than {_MOST_REDIRECTS} times")

    def _parsed(self, url: str, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except ValueError:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None  # "not known" needs no words
            size = len(answer.body)
            raise LookupFailed(f"{self.name}: the answer of {place_of(url)} is no JSON ({size} bytes)") from None

    def _next(self, url: str, answer: Answer) -> str:
        """Return where a redirect leads. Raises LookupFailed for places that no public provider has."""
        to = urljoin(url, answer.headers.get("Location", ""))
        place, before = urlsplit(to), urlsplit(url)
        if place.scheme not in ("https", before.scheme) or not place.hostname:
            raise LookupFailed(f"{self.name}: {place_of(url)} redirects to something that is no https address")
        if not _is_public_host(place.hostname) and _is_public_host(urlsplit(self.base_url).hostname or ""):
            raise LookupFailed(f"{self.name}: {place_of(url)} redirects to an address that is not public")
        return to

    def _failure(self, url: str, answer: Answer) -> FetchError:
        said = " ".join(answer.body[:2000].decode("utf-8", "replace").split())
        hidden = self._credentials.hide(said) if self._credentials else said
        words = f"{answer.status} {hidden[:200]}".strip()
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = wait_asked(answer.headers, self.clock.now())
            return Throttled(f"{self.name}: its own limit is reached ({words})", wait)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and self._credentials:
            return KeyRefused(
                f"{self.name}: the key in {self._key_env} was refused ({words}); "
                f"set {self._key_env} to one that may ask"
            )
        return LookupFailed(f"{self.name}: {place_of(url)} failed ({words})")


def wait_asked(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many seconds an answer asks to be left alone: Retry-After, else X-RateLimit-Reset (epoch)."""
    asked = retry_after(headers, now)
    if asked is not None:
        return asked
    spelled = {"X-Rate-Limit-Reset": headers.get("X-RateLimit-Reset", ""), "Date": headers.get("Date", "")}
    return seconds_until_reset(spelled, now)


def _is_public_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return host != "localhost" and "." in host
