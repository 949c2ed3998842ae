"""A collection of a TAXII 2.1 server: its objects, page by page.

Source: OASIS TAXII 2.1 (docs.oasis-open.org/cti/taxii/v2.1): media type and 406 (section 1.6.8), discovery (4.1), API
root (4.2), collections (5.1), objects (5.4), envelopes and pages (3.4, 3.7).
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import Field, field_validator, model_validator
from requests.auth import AuthBase, HTTPBasicAuth

from ingest.reference.apis.options import ApiOptions
from ingest.reference.reading.values import moment
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
from lake.base.http import Answer, FailedTry, GaveUp, HeaderAuth, HttpClient

MEDIA_TYPE = "application/taxii+json;version=2.1"
MAX_PAGES = 100_000
_DATE_ADDED_LAST = "X-TAXII-Date-Added-Last"
_REDIRECTS, _MOST_REDIRECTS = {301, 302, 303, 307, 308}, 5


class CollectionOptions(ApiOptions):
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
    limit: int = Field(default=1000, ge=1, le=100_000)
    overlap_seconds: int = Field(default=3600, ge=0, le=31_536_000)

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
        self._options, self._place = options, options.discovery_url
        self._setting = options.token_env or options.password_env
        self._client = HttpClient(
            timeout_seconds=options.timeout_seconds,
            retry=options.patience.retry,
            headers={"Accept": MEDIA_TYPE, "User-Agent": "headwater"},
        )

    def objects(self, since: datetime | None) -> Iterator[Any]:
        """Yield every object, or those added after `since` (naive UTC). Raises FetchError."""
        with closing(self._client):
            url = f"{self._collection_url()}objects/"
            asked: dict[str, Any] = {"limit": self._options.limit}
            if since is not None:
                asked["added_after"] = _time_text(since - timedelta(seconds=self._options.overlap_seconds))
            seen: set[str] = set()
            for _ in range(MAX_PAGES):
                envelope, added_last = self._get(url, asked)
                objects = envelope.get("objects", [])
                if not isinstance(objects, list):
                    raise UnexpectedAnswer(f"{url}: an answer that is no envelope of objects")
                yield from objects
                if not envelope.get("more"):
                    return
                asked = self._following(asked, envelope, added_last, seen)
        raise UnexpectedAnswer(f"{url}: more than {MAX_PAGES:,} pages")

    def _following(
        self, asked: dict[str, Any], envelope: dict[str, Any], added_last: str, seen: set[str]
    ) -> dict[str, Any]:
        """What to ask for next (section 3.4); a server that leads in a circle is not followed."""
        step = str(envelope.get("next") or "")
        mark = f"next {step}" if step else f"added_after {added_last}"
        if mark in seen or mark == "added_after ":
            reason = f"the server says `more` and leads nowhere ({mark.strip()}): raise `limit`"
            raise UnexpectedAnswer(f"{self._place}: {reason}")
        seen.add(mark)
        if step:
            return {**asked, "next": step}
        # `added_after` leaves its own instant out, and others may have been added in it: what comes again counts once.
        last = moment(added_last)
        if last is None:
            raise UnexpectedAnswer(f"{self._place}: {_DATE_ADDED_LAST} is no time")
        added_after = _time_text(last - timedelta(microseconds=1))
        return {**{name: value for name, value in asked.items() if name != "next"}, "added_after": added_after}

    def _collection_url(self) -> str:
        """The address of the one collection of that id, alias or title. Raises RequestRefused, AccessDenied."""
        wanted, there = self._options.collection, list(self._collections())
        found = [(url, each) for url, each in there if wanted in {each.get(name) for name in ("id", "title", "alias")}]
        if len(found) != 1:
            what = "no collection" if not found else f"{len(found)} collections"
            titles = ", ".join(str(each.get("title")) for _, each in there) or "none"
            raise RequestRefused(f"{self._place}: {what} {wanted!r} (there: {titles})", 404)
        ((url, collection),) = found
        if not collection.get("can_read"):
            raise AccessDenied(f"{self._place}: collection {wanted!r} may not be read by this user")
        return url

    def _collections(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Address and resource of every collection of the API roots that are meant."""
        discovery, _ = self._get(self._place)
        wanted = self._options.api_root.rstrip("/")
        for each in discovery.get("api_roots") or []:
            root = urljoin(self._place, str(each)).rstrip("/") + "/"
            if wanted and wanted != root.rstrip("/") and wanted != str(self._get(root)[0].get("title")):
                continue
            url = f"{root}collections/"
            for collection in self._get(url)[0].get("collections") or []:
                if not isinstance(collection, dict) or not collection.get("id"):
                    raise UnexpectedAnswer(f"{url}: a collection without id")
                yield f"{url}{collection['id']}/", collection

    def _get(self, url: str, params: dict[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The resource at an address, and the time at which its last object was added (section 3.7)."""
        answer = self._answer(url, params)
        if answer.status != 200:
            raise self._refused(answer.status)
        given = answer.headers.get("Content-Type", "").replace(" ", "").split(";")
        if not set(MEDIA_TYPE.split(";")) <= set(given):
            raise UnexpectedAnswer(f"{self._place}: no TAXII 2.1: content type {';'.join(given)[:100]!r}")
        try:
            resource = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer(f"{self._place}: no TAXII 2.1: no JSON ({len(answer.body):,} bytes)") from None
        if not isinstance(resource, dict):
            raise UnexpectedAnswer(f"{self._place}: no TAXII 2.1: expected a JSON object")
        return resource, answer.headers.get(_DATE_ADDED_LAST, "")

    def _answer(self, url: str, params: dict[str, Any] | None) -> Answer:
        """The answer to a GET; redirects are followed on the one server that the secret is meant for."""
        for _ in range(_MOST_REDIRECTS + 1):
            if urlsplit(url)[:2] != urlsplit(self._place)[:2]:
                host = urlsplit(self._place).netloc
                raise UnexpectedAnswer(f"{host}: leads to another server; the credentials are not sent there")
            try:
                answer = self._client.send("GET", url, params=params, auth=self._auth())
            except GaveUp as end:
                reason = f"no whole answer after {end.tries} tries ({end.reason})"
                raise Unreachable(f"{self._place}: {reason}; run it again later") from None
            except FailedTry as lasting:
                raise Unreachable(f"{self._place}: {lasting.reason}") from None
            if answer.status not in _REDIRECTS:
                return answer
            url, params = urljoin(url, answer.headers.get("Location", "")), None
        raise UnexpectedAnswer(f"{self._place}: redirects more than {_MOST_REDIRECTS} times")

    def _auth(self) -> AuthBase | None:
        """The secret, read when a request goes out."""
        if not self._setting:
            return None
        secret = os.environ.get(self._setting, "").strip()
        if not secret:
            raise MissingCredentials(f"{self._setting} is not set; set it to the secret of {self._place}")
        if self._options.token_env:
            return HeaderAuth("Authorization", lambda: f"{self._options.scheme} {secret}")
        return HTTPBasicAuth(self._options.user, secret)

    def _refused(self, status: int) -> FetchError:
        place, setting = self._place, self._setting or "no setting"
        if status == 401:
            return ExpiredCredentials(f"{place}: the credentials in {setting} were refused; renew them")
        if status == 403:
            return AccessDenied(f"{place}: the credentials in {setting} may not read this")
        if status == 406:
            return RequestRefused(f"{place}: the server does not speak TAXII 2.1 (406)", status)
        if status >= 500:
            return Unreachable(f"{place}: the server failed ({status}); run it again later")
        return RequestRefused(f"{place}: the request was refused ({status})", status)


def _time_text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
