"""An API as a contract declares it: the settings that follow from that, and the fetching of one arrival hour.

No vendor is named here. What one is asked and how it answers is in the contract's `api` (`ingest/contracts/api.py`).
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from ingest.contracts.api import ApiDeclaration, ClientCredentials, HmacAuth, JwtGrant, Rate, TokenAuth
from ingest.contracts.model import Contract
from ingest.objects import RawObject
from ingest.transports.api_pages import at, filled, millis, moment_of, opened, param_of, records_of, text_of, written
from ingest.transports.api_settings import ApiPlace, example_of, place_model
from ingest.transports.authorization import Authorization, Credentials, OAuthToken, Secret, Signature, assertion
from ingest.transports.fetch_errors import FetchError, UnexpectedAnswer, WindowNotSettled, WrongSettings
from ingest.transports.http import HttpPoller, Paging, Patience, Window, body_of, link_header, with_body
from ingest.transports.page_spool import SpooledPage
from ingest.transports.rate_budget import USUAL_HEADERS, LimitHeaders, RateBudget
from lake.base.http import SYSTEM_CLOCK, Clock, HttpClient
from lake.ledger import Coverage, Unseen

_log = logging.getLogger(__name__)
_HOUR = timedelta(hours=1)
_GONE = (404, 410)
_NOTHING = hashlib.sha256(b"null").hexdigest()  # the page of a link that has nothing behind it any more
_Pages = list[tuple[Path, SpooledPage]]


@dataclass
class Fetched:
    """What an hour gave: `objects` to land, (name, why) of what `failed`, and what the vendor has `lost`.

    What failed may come at the next try, for the pages that did come are kept; what is lost will not.
    """

    objects: list[RawObject] = field(default_factory=list)
    failed: list[tuple[str, FetchError]] = field(default_factory=list)
    lost: list[Coverage] = field(default_factory=list)


class DeclaredApi:
    """The API of one contract: see `ingest.sources.Api`."""

    def __init__(self, contract: Contract) -> None:
        if contract.api is None:
            raise ValueError(f"{contract.source}: its contract declares no api")
        self._contract, self._api = contract, contract.api
        self.Place = place_model(self._api)
        self.EXAMPLE = example_of(self._api)
        self.SETTLE, self.SWEEP = self._api.settle, self._api.sweep

    def fetch(self, place: ApiPlace, hour: datetime, spool: Path, clock: Clock = SYSTEM_CLOCK) -> Fetched:
        """Fetch what the API has of an hour (UTC), one object per page, from every tenant and stream.

        `spool` is a directory for this hour alone; pages already in it from an interrupted fetch of the same window are
        used, not fetched again. Delete it once the batch's receipt is durable; deleting it is also how an hour is
        fetched anew.

        Raises:
            WindowNotSettled: the hour is not over and settled.
            FetchError: nothing could be fetched. Where some tenant or stream could, `Fetched.failed` has the others.
        """
        start = _full_hour(hour)
        asked = [
            _Asked(self._contract, self._api, each, {"tenant": tenant, "stream": stream}, clock, spool / name)
            for tenant, each in (place.tenants or {"": place}).items()
            for stream in each.streams_asked
            for name in ("/".join(filter(None, (tenant, stream))),)
        ]
        fetched = Fetched()
        for name, why in place.wrong_tenants.items():
            fetched.failed.append((f"{self._contract.vendor}://{name}", WrongSettings(why)))
        for each in asked:
            try:
                each.fetch(start, fetched)
            except WindowNotSettled:
                raise
            except FetchError as problem:
                if len(asked) == 1 and not fetched.failed:
                    raise
                fetched.failed.append((each.place, problem))
        if fetched.failed and not fetched.objects:
            raise fetched.failed[0][1]
        return fetched


class _Asked:
    """One tenant's API, asked for one stream."""

    def __init__(
        self,
        contract: Contract,
        api: ApiDeclaration,
        place: ApiPlace,
        part: Mapping[str, str],
        clock: Clock,
        spool: Path,
    ) -> None:
        self._contract, self._api, self._place, self._clock, self._spool = contract, api, place, clock, spool
        self._base = place.base_url.rstrip("/")
        self._known = {**place.given, "stream": part["stream"], "limit": str(place.limit)}
        self._path = api.path.format_map(self._known)
        by_stream = {part["stream"]: api.records} if isinstance(api.records, str) else api.records
        self._records = by_stream.get(part["stream"]) or next(iter(by_stream.values()), "")
        query = urlencode({name: text for name, text in part.items() if text})
        self.place = f"{contract.vendor}://{urlsplit(self._base).hostname}{self._path}" + (f"?{query}" if query else "")

    def fetch(self, start: datetime, into: Fetched) -> None:
        """Add what the hour from `start` has. Raises FetchError."""
        api, place, until = self._api, self._place, start + _HOUR
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        if now < until + place.settle:
            raise WindowNotSettled(
                f"{millis(start)}: this hour may be fetched from {millis(until + place.settle)} on (its end + settle "
                f"{place.settle}), now it is {millis(now)}"
            )
        earliest = (until + place.settle).timestamp() - 1
        windows = list(self._windows(start - place.overlap, until, self._spool, earliest))
        if api.blobs is None:
            found = [(window, page, "") for window, pages in windows for page in pages]
        else:
            listed = [page for _, pages in windows for page in pages]
            blobs = self._blobs(listed, into, start)
            found = [((start, until), page, "content-") for page in blobs]
        for (since, end), (path, page), kind in found:
            name = f"{self.place}{'&' if '?' in self.place else '?'}{self._span(since, end)}#{kind}{path.stem}"
            records = partial(opened, path, "" if kind else self._records)
            into.objects.append(RawObject(name, records, page.size, until, page.sha256))
        if start < now - place.retention:
            why = "%s: older than %s keeps events (%s); an empty answer proves nothing"
            _log.warning(why, start, self.place, place.retention)
            if not any(kind or self._count(path) for _, (path, _), kind in found):
                into.lost.append(_lost("retention", self.place, start, until))
        for (since, end), pages in windows:
            if self._is_cut(pages):
                into.lost.append(_lost("page_limit", self.place, since, end))

    def _windows(
        self, since: datetime, until: datetime, spool: Path, earliest: float
    ) -> Iterator[tuple[tuple[datetime, datetime], _Pages]]:
        """The pages of a window, or of its halves where the vendor cuts it."""
        pages = self._poller(earliest, since, until).fetch(self._window(since, until), spool)
        unit = self._api.time.unit
        middle = since + (until - since) / 2 // unit * unit
        if not self._is_cut(pages) or middle == since:
            yield (since, until), pages
            return
        yield from self._windows(since, middle, spool / "1", earliest)
        yield from self._windows(middle, until, spool / "2", earliest)

    def _is_cut(self, pages: _Pages) -> bool:
        most = self._api.split_at
        return most is not None and sum(self._count(path) for path, _ in pages) >= most

    def _blobs(self, listed: _Pages, into: Fetched, start: datetime) -> _Pages:
        """The pages behind the addresses that other pages list, each once."""
        declared = self._api.blobs
        assert declared is not None
        uris: dict[str, str] = {}
        for path, _ in listed:
            for each in records_of(path.read_bytes(), self._records):
                blob = msgspec.json.decode(each)
                uri = str(at(blob, declared.uri) or "")
                if urlsplit(uri)[:2] != urlsplit(self._base)[:2]:
                    raise UnexpectedAnswer(f"{self.place}: lists content elsewhere; the credentials are not sent there")
                uris.setdefault(str(at(blob, declared.id) or uri), uri)
        if not uris:
            return []
        chain = list(uris.values())
        following = dict(zip(chain, [*chain[1:], None], strict=True))
        poller = self._poller(0.0)
        poller.paging = Paging(lambda link, headers, body: following[link])
        poller.gone = lambda status, words: status in _GONE or any(each in words for each in declared.expired)
        pages = poller.fetch(Window(chain[0], {}), self._spool / "content")
        for identifier, (_, page) in zip(uris, pages, strict=True):
            if page.sha256 == _NOTHING:
                _log.warning("%s: the vendor lists %s and no longer has it", self.place, identifier)
                into.lost.append(_lost("expired", f"{self.place} {identifier}", start, start + _HOUR, seconds=0))
        return [each for each in pages if each[1].sha256 != _NOTHING]

    def _window(self, since: datetime, until: datetime) -> Window:
        values = {**self._known, **self._times(since, until)}
        body = {name: filled(value, values) for name, value in self._api.body.items()}
        return Window(
            self._base + self._path,
            {name: text.format_map(values) for name, text in self._api.params.items()},
            body if self._api.method == "POST" else None,
        )

    def _times(self, since: datetime, until: datetime) -> dict[str, str]:
        """`{from}` and `{until}`: neighbouring windows share a boundary and no instant."""
        time = self._api.time
        first = since - time.unit if time.starts == "exclusive" else since
        last = until - time.unit if time.ends == "inclusive" else until
        return {"from": written(first, time.format), "until": written(last, time.format)}

    def _span(self, since: datetime, until: datetime) -> str:
        """The window as an object's name has it, under the vendor's own parameters where these are times alone."""
        params = {text: name for name, text in self._api.params.items() if text in ("{from}", "{until}")}
        times = self._times(since, until)
        return urlencode({params.get(f"{{{name}}}", name): time for name, time in times.items()}, safe=":")

    def _poller(self, earliest: float, since: datetime | None = None, until: datetime | None = None) -> HttpPoller:
        api, place = self._api, self._place
        credentials = self._credentials()
        return HttpPoller(
            credentials=credentials,
            budget=_budget(
                self._contract.vendor, self._base, credentials.setting, api.rate, place.budget_share, self._clock
            ),
            patience=Patience(
                timeout_seconds=place.timeout_seconds,
                page_seconds=place.page_seconds,
                max_attempts=place.max_attempts,
                max_wait_seconds=place.max_wait_seconds,
                backoff_seconds=place.backoff_seconds,
            ),
            clock=self._clock,
            explain=self._error_words,
            always_links=api.paging.always,
            paging=Paging(
                self._next_link(since, until) if since and until else link_header,
                (b"{", b"}") if self._records else (b"[", b"]"),
            ),
            throttled=api.rate.throttled,
            begin=self._begin,
            earliest=earliest,
        )

    def _credentials(self) -> Authorization:
        auth, place = self._api.auth, self._place
        secret, given = place.secret, self._place.given
        if isinstance(auth, TokenAuth):
            return Credentials(secret, place.scheme, auth.header)
        if isinstance(auth, HmacAuth):
            return Signature(secret, auth.user.format_map(given), auth.algorithm, auth.parts, self._clock)
        fields = auth.claims if isinstance(auth, JwtGrant) else auth.form
        filled = tuple((name, text.format_map(given)) for name, text in fields.items())
        url, client = place.token_url.format_map(given), given.get("client_id", "")
        return _token(_grant(auth), url, secret, filled, client, self._clock, place.timeout_seconds)

    def _begin(self, client: HttpClient, words: str) -> bool:
        """Post what has to come first, when an error says so."""
        start = self._api.start
        if start is None or start.when not in words:
            return False
        client.exchange("POST", self._base + start.path.format_map(self._known), headers={"Content-Length": "0"})
        return True

    def _next_link(self, since: datetime, until: datetime) -> Callable[[str, Mapping[str, str], bytes], str | None]:
        """How the contract's paging finds the next link of an answer. What is no page raises ValueError."""
        by, limit = self._api.paging, self._place.limit

        def follow(link: str, headers: Mapping[str, str], body: bytes) -> str | None:
            if by.kind == "link":
                return link_header(link, headers, body)
            if by.kind == "header":
                return headers.get(by.at) or None
            page = msgspec.json.decode(body)
            records = at(page, self._records)
            if not isinstance(records, list) and not (records is None and self._api.optional_records):
                raise ValueError(f"no list at {self._records or 'its top'}")
            if by.kind == "next_url":
                return text_of(at(page, by.at)) or None
            if by.kind == "cursor":
                cursor = text_of(at(page, by.at))
                return self._with(link, cursor) if cursor and (not by.more or at(page, by.more)) else None
            if by.kind == "none" or len(records or ()) < limit:
                return None
            if by.kind == "time":
                last = written(moment_of(at((records or [])[-1], by.at), self._api.time.format), self._api.time.format)
                again = self._window(moment_of(last, self._api.time.format), until).first_link
                if again == link:
                    raise UnexpectedAnswer(f"{self.place}: one instant has more than {limit:,} events; raise `limit`")
                return again
            step = 1 if by.kind == "page" else len(records or ())
            following = int(param_of(link, by.param) or by.first) + step
            read = (following - by.first) * (limit if by.kind == "page" else 1)
            if self._api.split_at is not None and read >= self._api.split_at:
                return None  # the vendor refuses what lies behind
            return self._with(link, str(following))

        return follow

    def _with(self, link: str, value: str) -> str:
        """A link with another value of the parameter that pages."""
        name, body = self._api.paging.param, body_of(link)
        if body is not None:
            return with_body(link, {name: value} if self._api.paging.alone else {**body, name: value})
        url, _, query = link.partition("?")
        return f"{url}?{urlencode({**dict(parse_qsl(query, keep_blank_values=True)), name: value})}"

    def _count(self, path: Path) -> int:
        return len(records_of(path.read_bytes(), self._records))

    def _error_words(self, body: bytes) -> str:
        try:
            error = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return ""
        found = (text_of(at(error, path)) for path in self._api.errors)
        return ": ".join(each for each in found if each)[:200]


def _grant(auth: ClientCredentials | JwtGrant) -> tuple[str, str, str, bool]:
    """What kind of grant it is: kind, grant or algorithm, scheme, whether the secret goes as Basic credentials."""
    if isinstance(auth, JwtGrant):
        return "jwt", auth.algorithm, auth.scheme, False
    return "oauth", auth.grant, auth.scheme, auth.basic


@lru_cache(maxsize=256)  # one token serves all hours and sources of a tenant
def _token(
    kind: tuple[str, str, str, bool],
    token_url: str,
    secret: Secret,
    fields: tuple[tuple[str, str], ...],
    client_id: str,
    clock: Clock,
    timeout_seconds: float,
) -> OAuthToken:
    name, grant, scheme, basic = kind

    def form(found: str) -> Mapping[str, str]:
        if name == "jwt":
            signed = assertion(found, dict(fields), token_url, grant, clock.now(), secret.setting)
            return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
        held = "refresh_token" if grant == "refresh_token" else "client_secret"
        return {"grant_type": grant, **dict(fields), **({} if basic else {held: found})}

    return OAuthToken(token_url, secret, form, scheme, client_id if basic else "", clock, timeout_seconds)


@lru_cache(maxsize=256)  # the sources of one tenant share its limit
def _budget(vendor: str, base_url: str, setting: str, rate: Rate, share: float, clock: Clock) -> RateBudget:
    usual = USUAL_HEADERS
    headers = LimitHeaders(rate.limit or usual.limit, rate.remaining or usual.remaining, rate.reset or usual.reset)
    most = (rate.requests, rate.per.total_seconds()) if rate.requests else None
    return RateBudget(share, clock, headers, most)


def _full_hour(hour: datetime) -> datetime:
    start = hour.replace(tzinfo=UTC) if hour.tzinfo is None else hour.astimezone(UTC)
    if (start.minute, start.second, start.microsecond) != (0, 0, 0):
        raise ValueError(f"arrival_hour: expected a full hour, found {start.isoformat()}")
    return start


def _lost(status: str, place: str, start: datetime, until: datetime, seconds: int | None = None) -> Coverage:
    """What the ledger says of a time whose events the vendor does not give."""
    spent = int((until - start).total_seconds()) if seconds is None else seconds
    first, last = start.isoformat(), until.isoformat()
    unseen = Unseen(place, 1, spent, first, last)
    return Coverage(status=status, meaning="lost", records=1, seconds=spent, first=first, last=last, places=(unseen,))
