"""How each vendor's audit API answers: paths, windows, pages, cursors, quotas, errors; from what they publish.

- Okta: developer.okta.com/docs/reference/api/system-log, /docs/reference/rl-best-practices
- Slack: docs.slack.dev/reference/audit-logs-api/methods-actions-reference
- GitHub: docs.github.com/rest/enterprise-admin/audit-log, /rest/using-the-rest-api/rate-limits-for-the-rest-api
- Microsoft Graph: learn.microsoft.com/graph/api/signin-list, /graph/throttling-limits
- Microsoft 365: learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference
- Duo: duo.com/docs/adminapi
- Auth0: auth0.com/docs/deploy-monitor/logs/retrieve-log-events-using-mgmt-api
- Google: developers.google.com/admin-sdk/reports/reference/rest/v1/activities/list
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from orchestration.demo.simulators.audit_apis.world import Event, World


@dataclass(frozen=True)
class Asked:
    """A request: `url` is the server's base address, `now` its time."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    url: str
    now: float
    date: str = ""  # the header


@dataclass(frozen=True)
class Reply:
    """An answer; a body that is no bytes goes out as JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> bytes:
        """Return the body as it goes out."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, separators=(",", ":")).encode()


class Server(Protocol):
    """What vendors need of the server."""

    world: World
    started: set[str]
    expired: set[str]
    generation: int


@dataclass(frozen=True)
class Page:
    """Events of a page, and the cursor of the next one."""

    events: list[Event]
    cursor: str


class LostCursor(Exception):
    """A cursor of an earlier generation, or none at all."""


class Vendor:
    """A vendor. `quota` is (requests, seconds); `has_tokens`: access tokens of an OAuth server, not one of its own."""

    name: str
    path: str
    quota: tuple[int, float]
    scheme = "Bearer"
    has_tokens = False
    newest_first = False

    def wanted(self, asked: Asked, tokens: int) -> str:
        """Return the Authorization header that a good request has; `tokens` is the number of the valid access token."""
        return f"Bearer token-{tokens}" if self.has_tokens else f"{self.scheme} s3cr3t"

    def owns(self, path: str) -> bool:
        """Whether a path is this vendor's."""
        return re.fullmatch(self.path, path) is not None

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer a good request, with a fault in its pages."""
        raise NotImplementedError

    def error(self, status: int) -> Reply:
        """Return what a refusal looks like."""
        raise NotImplementedError

    def throttled(self, now: float, wait: float) -> Reply:
        """Return what too many requests are answered with; in `wait` seconds there may be others."""
        raise NotImplementedError

    def record(self, event: Event) -> dict[str, Any]:
        """Return an event as the vendor writes it."""
        raise NotImplementedError

    def records(self, page: Page) -> list[dict[str, Any]]:
        """Return the events of a page as the vendor writes them."""
        return [self.record(event) for event in page.events]

    def take(
        self, server: Server, now: float, inside: Callable[[Event], bool], limit: int, cursor: str, fault: str
    ) -> Page:
        """Return the page of a window behind a cursor. Raises LostCursor."""
        found = [event for event in server.world.visible(now) if inside(event)]
        if self.newest_first:
            found.reverse()
        after, number = _read(cursor, server.generation) if cursor else (None, 0)
        if after is not None:
            found = [each for each in found if (_place(each) < after if self.newest_first else _place(each) > after)]
        if fault == "loop" and cursor:
            return Page([], cursor)
        if fault == "empty" and found:
            return Page([], _written(after, number + 1, server.generation))
        page, more = found[:limit], len(found) > limit
        return Page(page, _written(_place(page[-1]), 0, server.generation) if more else "")


class Okta(Vendor):
    """System Log, bounded requests."""

    name, path, quota, scheme = "okta_system_log", "/api/v1/logs", (120, 60.0), "SSWS"

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer in the order of publication; every page is linked to itself."""
        since, until = _ms(asked.query["since"]), _ms(asked.query["until"])
        limit, cursor = int(asked.query.get("limit", 100)), asked.query.get("after", "")
        try:
            page = self.take(server, asked.now, lambda e: since <= e.at < until, limit, cursor, fault)
        except LostCursor:
            return self.error(400)
        links = [f'<{asked.url}{asked.path}?{urlencode(asked.query)}>; rel="self"']
        if page.cursor:
            links.append(f'<{asked.url}{asked.path}?{urlencode({**asked.query, "after": page.cursor})}>; rel="next"')
        return Reply(200, self.records(page), {"Link": ", ".join(links)})

    def error(self, status: int) -> Reply:
        """Return Okta's error object."""
        code = {400: "E0000001", 401: "E0000011", 403: "E0000006", 429: "E0000047"}[status]
        return Reply(status, {"errorCode": code, "errorSummary": "refused"})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 with the time of the reset."""
        limit = {"Limit": "120", "Remaining": "0", "Reset": str(math.ceil(now + wait))}
        return Reply(429, self.error(429).body, {f"X-Rate-Limit-{name}": value for name, value in limit.items()})

    def record(self, event: Event) -> dict[str, Any]:
        """Return a LogEvent."""
        return {"uuid": event.uid, "published": _iso(event.at), "eventType": "user.session.start"}


class Slack(Vendor):
    """Audit Logs: newest first, whole seconds, both ends taken in."""

    name, path, quota, newest_first = "slack_audit", "/audit/v1/logs", (50, 60.0), True

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a cursor in the body."""
        oldest, latest = int(asked.query["oldest"]), int(asked.query["latest"])
        limit, cursor = int(asked.query.get("limit", 100)), asked.query.get("cursor", "")
        try:
            page = self.take(server, asked.now, lambda e: oldest <= e.at // 1000 <= latest, limit, cursor, fault)
        except LostCursor:
            return Reply(400, {"ok": False, "error": "invalid_cursor"})
        return Reply(200, {"entries": self.records(page), "response_metadata": {"next_cursor": page.cursor}})

    def error(self, status: int) -> Reply:
        """Return Slack's error."""
        return Reply(status, {"ok": False, "error": "invalid_auth" if status == 401 else "missing_scope"})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 with Retry-After."""
        return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(math.ceil(wait))})

    def record(self, event: Event) -> dict[str, Any]:
        """Return an entry."""
        user = {"id": "W1", "name": "Ada", "email": "ada@example.com"}
        return {
            "id": event.uid,
            "date_create": event.at // 1000,
            "action": "user_login",
            "actor": {"type": "user", "user": user},
            "entity": {"type": "user", "user": user},
            "context": {"ip_address": "203.0.113.7", "ua": "x"},
        }


class GitHub(Vendor):
    """Audit log of an organisation or enterprise."""

    name, path, quota = "github_audit", "/(?:orgs|enterprises)/[^/]+/audit-log", (1750, 3600.0)

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with Link headers; a range takes both of its seconds in."""
        first, last = asked.query["phrase"].removeprefix("created:").split("..")
        since, until = _ms(first), _ms(last) + 999
        limit, cursor = int(asked.query.get("per_page", 30)), asked.query.get("after", "")
        try:
            page = self.take(server, asked.now, lambda e: since <= e.at <= until, limit, cursor, fault)
        except LostCursor:
            return Reply(400, {"message": "Invalid cursor"})
        following = f"{asked.url}{asked.path}?{urlencode({**asked.query, 'after': page.cursor})}"
        return Reply(200, self.records(page), {"Link": f'<{following}>; rel="next"'} if page.cursor else {})

    def error(self, status: int) -> Reply:
        """Return GitHub's message."""
        return Reply(status, {"message": "Bad credentials" if status == 401 else "Must be an owner", "status": status})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 403 with nothing left."""
        limit = {"Limit": "1750", "Remaining": "0", "Reset": str(math.ceil(now + wait))}
        headers = {f"X-RateLimit-{name}": value for name, value in limit.items()}
        return Reply(403, {"message": "API rate limit exceeded"}, headers)

    def record(self, event: Event) -> dict[str, Any]:
        """Return an event of a member."""
        return {"_document_id": event.uid, "@timestamp": event.at, "action": "org.add_member", "created_at": event.at}


class Graph(Vendor):
    """Microsoft Graph: OData filters and next links, tokens of an OAuth server."""

    quota, has_tokens = (5, 10.0), True
    time = "createdDateTime"

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a next link in the body."""
        given = asked.query["$filter"]
        since, until = (_ms(re.findall(rf"{self.time} {word} (\S+)", given)[0]) for word in ("ge", "lt"))
        stream = found[1] if (found := re.search(r"t eq '(\w+)'", given)) else ""
        limit, cursor = int(asked.query.get("$top", 1000)), asked.query.get("$skiptoken", "")

        def inside(event: Event) -> bool:
            return since <= event.at < until and stream in ("", event.stream)

        try:
            page = self.take(server, asked.now, inside, limit, cursor, fault)
        except LostCursor:
            return self.error(400)
        body: dict[str, Any] = {"@odata.context": f"{asked.url}/$metadata", "value": self.records(page)}
        if page.cursor:
            following = urlencode({**asked.query, "$skiptoken": page.cursor})
            body["@odata.nextLink"] = f"{asked.url}{asked.path}?{following}"
        return Reply(200, body)

    def error(self, status: int) -> Reply:
        """Return Graph's error object."""
        code = {400: "BadRequest", 401: "InvalidAuthenticationToken", 403: "Authorization_RequestDenied"}[status]
        return Reply(status, {"error": {"code": code, "message": "refused", "innerError": {}}})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 with Retry-After."""
        return Reply(429, {"error": {"code": "TooManyRequests", "message": "x"}}, {"Retry-After": str(math.ceil(wait))})


class SignIns(Graph):
    """Sign-ins, four kinds."""

    name, path = "entra_sign_in", "/beta/auditLogs/signIns"

    def record(self, event: Event) -> dict[str, Any]:
        """Return a signIn."""
        return {"id": event.uid, "createdDateTime": _iso(event.at), "signInEventTypes": [event.stream]}


class DirectoryAudits(Graph):
    """Directory audits."""

    name, path, time = "entra_directory_audit", "/v1.0/auditLogs/directoryAudits", "activityDateTime"

    def record(self, event: Event) -> dict[str, Any]:
        """Return a directoryAudit."""
        named = {"activityDisplayName": "Add user", "category": "UserManagement", "result": "success"}
        return {"id": event.uid, "activityDateTime": _iso(event.at), **named}


class Microsoft365(Vendor):
    """Management Activity: subscriptions, lists of content by when it was made, and the content."""

    name, path, quota, has_tokens = "microsoft_365", r"/api/v1\.0/[^/]+/activity/feed/.+", (2000, 60.0), True
    blob_ms = 600_000  # what is shown within ten minutes is one piece of content

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Start a subscription, list content, or give it."""
        stream = asked.query.get("contentType", "")
        if asked.path.endswith("/subscriptions/start"):
            server.started.add(stream)
            return Reply(200, {"contentType": stream, "status": "enabled"})
        if asked.path.endswith("/subscriptions/content"):
            return self._list(asked, server, stream, fault)
        stream, number = asked.path.rsplit("/", 1)[1].split("$")
        if f"{stream}${number}" in server.expired:
            return _af(400, "AF20051", "Content requested has already expired")
        begin = int(number) * self.blob_ms
        found = [e for e in server.world.events if e.stream == stream and begin <= e.shown < begin + self.blob_ms]
        return Reply(200, [self.record(event) for event in found])

    def _list(self, asked: Asked, server: Server, stream: str, fault: str) -> Reply:
        if stream not in server.started:
            return _af(400, "AF20022", "No subscription found for the specified content type")
        since, until = _ms(asked.query["startTime"]), _ms(asked.query["endTime"])
        if until - since > 86_400_000 or since < asked.now * 1000 - 7 * 86_400_000:
            return _af(400, "AF20030", "Start time and end time must both be specified, at most 24 hours apart")
        made: dict[int, Event] = {}
        for event in server.world.events:
            number = event.shown // self.blob_ms
            created = (number + 1) * self.blob_ms - 1
            if event.stream == stream and since <= created < until and created <= asked.now * 1000:
                made.setdefault(number, Event(created, f"{stream}${number}", 0, created, stream))
        listed = World(list(made.values()), timedelta(days=7))
        view = _View(listed, server.started, server.expired, server.generation)
        try:
            page = self.take(view, asked.now, lambda e: True, 3, asked.query.get("nextPage", ""), fault)
        except LostCursor:
            return _af(400, "AF20031", "Invalid nextPage Input")
        base = f"{asked.url}{asked.path.removesuffix('/subscriptions/content')}"
        records = [
            {
                "contentType": stream,
                "contentId": each.uid,
                "contentUri": f"{base}/audit/{each.uid}",
                "contentCreated": _iso(each.at),
                "contentExpiration": _iso(each.at + 7 * 86_400_000),
            }
            for each in page.events
        ]
        following = f"{base}/subscriptions/content?{urlencode({**asked.query, 'nextPage': page.cursor})}"
        return Reply(200, records, {"NextPageUri": following} if page.cursor else {})

    def error(self, status: int) -> Reply:
        """Return the feed's error object."""
        return _af(status, "AF10001", "The permission set sent in the request did not include the expected permission")

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 without a time."""
        return _af(429, "AF429", "Too many requests")

    def record(self, event: Event) -> dict[str, Any]:
        """Return an audit record."""
        return {
            "Id": event.uid,
            "CreationTime": _iso(event.at)[:19],
            "Operation": "FileAccessed",
            "OrganizationId": "00000000-0000-0000-0000-000000000001",
            "RecordType": 6,
            "UserType": 0,
            "UserKey": "k",
            "UserId": "ada@example.com",
            "Workload": "SharePoint",
        }


class Google(Vendor):
    """Workspace Reports, activities of an application: newest first."""

    name, quota = "google_workspace", (2400, 60.0)
    path = "/admin/reports/v1/activity/users/all/applications/[a-z_]+"
    has_tokens, newest_first = True, True

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a page token in the body; a page without activities has no `items`."""
        stream = asked.path.rsplit("/", 1)[1]
        since, until = _ms(asked.query["startTime"]), _ms(asked.query["endTime"])
        limit, cursor = int(asked.query.get("maxResults", 1000)), asked.query.get("pageToken", "")

        def inside(event: Event) -> bool:
            return since <= event.at <= until and event.stream == stream

        try:
            page = self.take(server, asked.now, inside, limit, cursor, fault)
        except LostCursor:
            return self._refusal(400, "invalid", "Invalid pageToken")
        body: dict[str, Any] = {"kind": "admin#reports#activities", "etag": '"x"'}
        body |= {"items": self.records(page)} if page.events else {}
        return Reply(200, body | ({"nextPageToken": page.cursor} if page.cursor else {}))

    def error(self, status: int) -> Reply:
        """Return Google's error object."""
        return self._refusal(status, "authError" if status == 401 else "forbidden", "refused")

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 403 whose reason says it, without a time."""
        return self._refusal(403, "rateLimitExceeded", "Quota exceeded")

    def record(self, event: Event) -> dict[str, Any]:
        """Return an activity."""
        return {
            "kind": "admin#reports#activity",
            "id": {
                "time": _iso(event.at),
                "uniqueQualifier": event.uid,
                "applicationName": event.stream,
                "customerId": "C1",
            },
            "actor": {"email": "ada@example.com", "profileId": "1"},
            "events": [{"type": "login", "name": "login_success"}],
        }

    def _refusal(self, status: int, reason: str, message: str) -> Reply:
        error = {"code": status, "message": message, "errors": [{"domain": "global", "reason": reason}]}
        return Reply(status, {"error": error})


_DUO_KEYS = {"authentication": "txid", "activity": "activity_id", "telephony": "telephony_id"}


class Duo(Vendor):
    """Admin API, logs of version 2: each request is signed."""

    name, path, quota = "duo", "/admin/v2/logs/(authentication|activity|telephony)", (50, 60.0)

    def wanted(self, asked: Asked, tokens: int) -> str:
        """Return the signature of duo.com/docs/adminapi#authentication."""
        pairs = (f"{quote(name, safe='~')}={quote(asked.query[name], safe='~')}" for name in sorted(asked.query))
        lines = (asked.date, asked.method, urlsplit(asked.url).netloc, asked.path, "&".join(pairs))
        digest = hmac.new(b"s3cr3t", "\n".join(lines).encode(), hashlib.sha1).hexdigest()
        return f"Basic {base64.b64encode(f'DIKEY:{digest}'.encode()).decode()}"

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with the offset of the next page: a time and an id."""
        stream = asked.path.rsplit("/", 1)[1]
        since, until = int(asked.query["mintime"]), int(asked.query["maxtime"])

        def inside(event: Event) -> bool:
            return since <= event.at <= until and event.stream == stream

        offset = asked.query.get("next_offset", "").partition(",")[2]
        try:
            page = self.take(server, asked.now, inside, int(asked.query.get("limit", 100)), offset, fault)
        except LostCursor:
            return self.error(400)
        following = [str(asked.now), page.cursor] if page.cursor else None
        name = "authlogs" if stream == "authentication" else "items"
        response = {name: self.records(page), "metadata": {"next_offset": following, "total_objects": 0}}
        return Reply(200, {"stat": "OK", "response": response})

    def error(self, status: int) -> Reply:
        """Return Duo's error."""
        return Reply(status, {"stat": "FAIL", "code": status * 100 + 1, "message": "refused"})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 without a time."""
        return self.error(429)

    def record(self, event: Event) -> dict[str, Any]:
        """Return a record of a log."""
        at = datetime.fromtimestamp(event.at / 1000, UTC).isoformat()
        return {_DUO_KEYS[event.stream]: event.uid, "isotimestamp" if event.stream == "authentication" else "ts": at}


class Auth0(Vendor):
    """Management API, logs by search: no more than 1,000 of a search."""

    name, path, quota, has_tokens = "auth0", "/api/v2/logs", (120, 60.0), True
    most = 1000

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer a page of a search."""
        first, last = asked.query["q"].removeprefix("date:[").removesuffix("]").split(" TO ")
        number, size = int(asked.query["page"]), int(asked.query["per_page"])
        if (number + 1) * size > self.most:
            return Reply(400, {"statusCode": 400, "errorCode": "invalid_paging", "message": "only the first 1000"})
        found = [e for e in server.world.visible(asked.now) if _ms(first) <= e.at <= _ms(last)]
        return Reply(200, [self.record(event) for event in found[number * size : (number + 1) * size]])

    def error(self, status: int) -> Reply:
        """Return Auth0's error."""
        return Reply(status, {"statusCode": status, "error": "refused", "message": "refused", "errorCode": "x"})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 with the time of the reset."""
        limit = {"Limit": "120", "Remaining": "0", "Reset": str(math.ceil(now + wait))}
        return Reply(429, self.error(429).body, {f"X-RateLimit-{name}": value for name, value in limit.items()})

    def record(self, event: Event) -> dict[str, Any]:
        """Return a log event."""
        return {"log_id": event.uid, "date": _iso(event.at), "type": "s"}


@dataclass
class _View:
    world: World
    started: set[str]
    expired: set[str]
    generation: int


def _af(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": message}})


def _place(event: Event) -> tuple[int, str, int]:
    return event.at, event.uid, event.copy


def _written(place: tuple[int, str, int] | None, number: int, generation: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([generation, number, place]).encode()).decode()


def _read(cursor: str, generation: int) -> tuple[tuple[int, str, int] | None, int]:
    try:
        made, number, place = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise LostCursor from None
    if made != generation:
        raise LostCursor
    return (tuple(place) if place else None), number


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_ALL = (Okta(), Slack(), GitHub(), SignIns(), DirectoryAudits(), Microsoft365(), Google(), Duo(), Auth0())
VENDORS: Mapping[str, Vendor] = {each.name: each for each in _ALL}
