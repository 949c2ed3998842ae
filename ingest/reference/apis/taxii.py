"""A collection of a TAXII 2.1 server: its objects, page by page, with `taxii2-client`.

What belongs here: asking. What does not: what the objects mean (`stix_objects`).

The client has no timeouts, repeats nothing, follows any link and hides the headers: its connection gets all of that.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from pydantic import Field, field_validator, model_validator
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from ingest.reference.apis.patience import AskingOptions
from ingest.reference.written_values import moment
from ingest.transports.addresses import checked_address
from ingest.transports.fetch_errors import (
    AccessDenied,
    ExpiredCredentials,
    FetchError,
    MissingCredentials,
    RequestRefused,
    UnexpectedAnswer,
    Unreachable,
)

if TYPE_CHECKING:
    from taxii2client.v21 import ApiRoot, Collection

_DATE_ADDED_LAST = "X-TAXII-Date-Added-Last"
MAX_PAGES = 100_000


class CollectionOptions(AskingOptions):
    """`discovery_url`: https://host/taxii2/. `collection`: its id, alias or title.

    `api_root`: its title or address, where a server has several. Basic authentication with `user` and `password_env`,
    or a header `Authorization: <scheme> <token>` with `token_env`; `limit`: objects a page.
    """

    discovery_url: str
    collection: str
    api_root: str = ""
    user: str = ""
    password_env: str = ""
    token_env: str = ""
    scheme: str = "Bearer"
    limit: int = Field(default=1000, ge=1)
    overlap_seconds: int = Field(default=3600, ge=0)

    @field_validator("discovery_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return checked_address(url, may_have_path=True) + "/"

    @model_validator(mode="after")
    def _one_way_in(self) -> "CollectionOptions":
        if bool(self.user) != bool(self.password_env):
            raise ValueError("user and password_env go together")
        if self.user and self.token_env:
            raise ValueError("either user and password_env, or token_env")
        return self


class TaxiiCollection:
    """One collection of a server, reached with the settings' patience."""

    def __init__(self, options: CollectionOptions) -> None:
        self._options = options
        self._added_last = ""

    def objects(self, since: datetime | None) -> Iterator[Any]:
        """Yield every object, or those added after `since` (naive UTC). Raises FetchError."""
        from taxii2client.exceptions import TAXIIServiceException

        place = self._options.discovery_url
        try:
            for page in self._pages(since):
                yield from page
        except requests.HTTPError as error:
            raise self._refused(error) from None
        except requests.RequestException as error:
            why = type(error).__name__  # its words may hold addresses with parameters
            raise Unreachable(f"{place}: no whole answer: {why}; run it again later") from None
        except (TAXIIServiceException, ValueError, RecursionError) as error:
            words = self._hidden(str(error)).splitlines()[0][:200] if str(error) else type(error).__name__
            raise UnexpectedAnswer(f"{place}: no TAXII 2.1: {words}") from None

    def _pages(self, since: datetime | None) -> Iterator[list[Any]]:
        collection = self._collection()
        asked: dict[str, Any] = {"limit": self._options.limit}
        if since is not None:
            asked["added_after"] = _time_text(since - timedelta(seconds=self._options.overlap_seconds))
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            envelope = collection.get_objects(**asked)
            if not isinstance(envelope, dict) or not isinstance(envelope.get("objects", []), list):
                raise UnexpectedAnswer(f"{collection.objects_url}: an answer that is no envelope of objects")
            yield envelope.get("objects", [])
            if not envelope.get("more"):
                return
            asked = self._following(asked, envelope, seen)
        raise UnexpectedAnswer(f"{collection.objects_url}: more than {MAX_PAGES:,} pages")

    def _following(self, asked: dict[str, Any], envelope: dict[str, Any], seen: set[str]) -> dict[str, Any]:
        """What to ask for next; a server that leads in a circle is not followed."""
        step = str(envelope.get("next") or "")
        place = self._options.discovery_url
        mark = f"next {step}" if step else f"added_after {self._added_last}"
        if mark in seen or mark == "added_after ":
            raise UnexpectedAnswer(f"{place}: the server says `more` and leads nowhere ({mark.strip()}): raise `limit`")
        seen.add(mark)
        if step:
            return {**asked, "next": step}
        # `added_after` leaves its own instant out, and others may have been added in it: what comes again counts once.
        last = moment(self._added_last)
        if last is None:
            raise UnexpectedAnswer(f"{self._options.discovery_url}: {_DATE_ADDED_LAST} is no time")
        added_after = _time_text(last - timedelta(microseconds=1))
        return {**{name: value for name, value in asked.items() if name != "next"}, "added_after": added_after}

    def _collection(self) -> "Collection":
        options = self._options
        roots = self._api_roots()
        wanted = [
            root for root in roots if not options.api_root or options.api_root.rstrip("/") in _names_of_root(root)
        ]
        found = [each for root in wanted for each in root.collections if options.collection in _names(each)]
        if len(found) != 1:
            what = "no collection" if not found else f"{len(found)} collections"
            titles = ", ".join(str(each.title) for root in wanted for each in root.collections)
            raise RequestRefused(
                f"{options.discovery_url}: {what} {options.collection!r} (there: {titles or 'none'})", 404
            )
        collection: Collection = found[0]
        if not collection.can_read:
            raise AccessDenied(
                f"{options.discovery_url}: collection {options.collection!r} may not be read by this user"
            )
        return collection

    def _api_roots(self) -> "list[ApiRoot]":
        from taxii2client.common import _HTTPConnection  # the client's `conn` takes no other
        from taxii2client.v21 import ApiRoot, Server

        options = self._options
        auth = None if not (options.user or options.token_env) else _Auth(options)
        connection = _HTTPConnection(version="2.1", auth=auth)
        adapter = _Patient(options, urlsplit(options.discovery_url)[:2])
        for scheme in ("http://", "https://"):
            connection.session.mount(scheme, adapter)
        connection.session.trust_env = False  # no .netrc: its secrets are not meant for this server
        connection.session.hooks["response"].append(self._remember)
        # The roots that a server names would connect on their own, without our patience.
        return [ApiRoot(root.url, conn=connection) for root in Server(options.discovery_url, conn=connection).api_roots]

    def _remember(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self._added_last = answer.headers.get(_DATE_ADDED_LAST, "")

    def _refused(self, error: requests.HTTPError) -> FetchError:
        status = error.response.status_code if error.response is not None else 0
        place, setting = self._options.discovery_url, self._options.token_env or self._options.password_env
        if status == 401:
            return ExpiredCredentials(f"{place}: the credentials in {setting or 'no setting'} were refused; renew them")
        if status == 403:
            return AccessDenied(f"{place}: the credentials in {setting or 'no setting'} may not read this")
        if status == 406:
            return RequestRefused(f"{place}: the server does not speak TAXII 2.1 (406)", status)
        if status == 429 or status >= 500:
            return Unreachable(f"{place}: the server answered {status} again and again; run it again later")
        return RequestRefused(f"{place}: the request was refused ({status})", status)

    def _hidden(self, text: str) -> str:
        for name in (self._options.password_env, self._options.token_env):
            secret = os.environ.get(name, "").strip() if name else ""
            text = text.replace(secret, "***") if secret else text
        return text


class _Auth(AuthBase):
    """Reads the secret when a request goes out."""

    def __init__(self, options: CollectionOptions) -> None:
        self._options = options

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        name = self._options.token_env or self._options.password_env
        secret = os.environ.get(name, "").strip()
        if not secret:
            raise MissingCredentials(f"{name} is not set; set it to the secret of {self._options.discovery_url}")
        if self._options.token_env:
            request.headers["Authorization"] = f"{self._options.scheme} {secret}"
            return request
        signed: requests.PreparedRequest = requests.auth.HTTPBasicAuth(self._options.user, secret)(request)
        return signed


class _Patient(HTTPAdapter):
    """Timeouts and tries for a client that has none; requests go to the one server that the secret is meant for."""

    def __init__(self, options: CollectionOptions, place: tuple[str, str]) -> None:
        self._timeout = options.timeout_seconds
        self._place = place
        retry = Retry(
            total=options.max_attempts - 1,
            backoff_factor=options.backoff_seconds,
            backoff_max=options.max_wait_seconds,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET",),
            respect_retry_after_header=True,
            retry_after_max=int(options.max_wait_seconds),
            raise_on_status=False,
            redirect=0,
        )
        super().__init__(max_retries=retry)

    def send(self, request: requests.PreparedRequest, *args: Any, **given: Any) -> requests.Response:
        """Send a request, with a timeout."""
        if tuple(urlsplit(str(request.url))[:2]) != self._place:
            raise UnexpectedAnswer(f"{self._place[1]}: leads to another server; the credentials are not sent there")
        given["timeout"] = self._timeout
        return super().send(request, *args, **given)


def _names_of_root(root: Any) -> set[str]:
    return {str(root.url).rstrip("/"), str(root.title)}


def _names(collection: Any) -> set[str]:
    return {str(each) for each in (collection.id, collection.title, collection.alias) if each}


def _time_text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
