"""How each vendor's audit API answers: paths, windows, pages, cursors, quotas, errors; from what they publish.

- Okta: developer.okta.com/docs/reference/api/system-log, /docs/reference/rl-best-practices
- Slack: docs.slack.dev/reference/audit-logs-api/methods-actions-reference
- GitHub: docs.github.com/rest/enterprise-admin/audit-log, /rest/using-the-rest-api/rate-limits-for-the-rest-api
- 1Password: developer.1password.com/docs/events-api
- Cloudflare: developers.cloudflare.com/api/resources/accounts/subresources/logs
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
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from orchestration.demo.simulators.audit_apis.microsoft import DirectoryAudits, Microsoft365, SignIns
from orchestration.demo.simulators.audit_apis.vendor import Asked, LostCursor, Reply, Server, Vendor, iso, ms
from orchestration.demo.simulators.audit_apis.world import Event


class Okta(Vendor):
    """System Log, bounded requests."""

    name, path, quota, scheme = "okta_system_log", "/api/v1/logs", (120, 60.0), "SSWS"

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer in the order of publication; every page is linked to itself."""
        since, until = ms(asked.query["since"]), ms(asked.query["until"])
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
        return {"uuid": event.uid, "published": iso(event.at), "eventType": "user.session.start"}


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
        since, until = ms(first), ms(last) + 999
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


class Google(Vendor):
    """Workspace Reports, activities of an application: newest first."""

    name, quota = "google_workspace", (2400, 60.0)
    path = "/admin/reports/v1/activity/users/all/applications/[a-z_]+"
    has_tokens, newest_first = True, True

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a page token in the body; a page without activities has no `items`."""
        stream = asked.path.rsplit("/", 1)[1]
        since, until = ms(asked.query["startTime"]), ms(asked.query["endTime"])
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
                "time": iso(event.at),
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
        found = [e for e in server.world.visible(asked.now) if ms(first) <= e.at <= ms(last)]
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
        return {"log_id": event.uid, "date": iso(event.at), "type": "s"}


class OnePassword(Vendor):
    """Events API: a window is posted, then its cursor."""

    name, path, quota = "onepassword", "/api/v2/(signinattempts|itemusages|auditevents)", (600, 60.0)

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a cursor that knows its window."""
        stream, body = asked.path.rsplit("/", 1)[1], asked.body
        window, cursor = [body.get("start_time"), body.get("end_time"), body.get("limit")], ""
        if "cursor" in body:
            if set(body) != {"cursor"}:
                return self.error(400)
            *window, cursor = json.loads(base64.b64decode(body["cursor"]))
        since, until = ms(str(window[0])), ms(str(window[1]))

        def inside(event: Event) -> bool:
            return since <= event.at < until and event.stream == stream

        try:
            page = self.take(server, asked.now, inside, int(str(window[2])), cursor, fault)
        except LostCursor:
            return self.error(400)
        following = base64.b64encode(json.dumps([*window, page.cursor]).encode()).decode()
        return Reply(200, {"cursor": following, "has_more": bool(page.cursor), "items": self.records(page)})

    def error(self, status: int) -> Reply:
        """Return 1Password's error."""
        return Reply(status, {"Error": {"Message": "Unauthorized" if status == 401 else "refused"}})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 without a time."""
        return self.error(429)

    def record(self, event: Event) -> dict[str, Any]:
        """Return an event."""
        return {"uuid": event.uid, "timestamp": iso(event.at), "category": "success", "type": "credentials_ok"}


class Cloudflare(Vendor):
    """Audit logs of an account, version 2."""

    name, path, quota = "cloudflare_audit", "/client/v4/accounts/[0-9a-f]{32}/logs/audit", (1200, 300.0)

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a cursor in the body; the end is taken in."""
        since, until = ms(asked.query["since"]), ms(asked.query["before"])
        limit, cursor = int(asked.query.get("limit", 100)), asked.query.get("cursor", "")
        try:
            page = self.take(server, asked.now, lambda e: since <= e.at <= until, limit, cursor, fault)
        except LostCursor:
            return self.error(400)
        info = {"count": len(page.events), "cursor": page.cursor}
        return Reply(200, {"success": True, "errors": [], "result": self.records(page), "result_info": info})

    def error(self, status: int) -> Reply:
        """Return Cloudflare's errors."""
        return Reply(status, {"success": False, "errors": [{"code": 10000, "message": "refused"}], "result": None})

    def throttled(self, now: float, wait: float) -> Reply:
        """Return a 429 with Retry-After."""
        return Reply(429, self.error(429).body, {"Retry-After": str(math.ceil(wait))})

    def record(self, event: Event) -> dict[str, Any]:
        """Return an entry."""
        return {
            "id": event.uid,
            "action": {"time": iso(event.at), "type": "create"},
            "actor": {"email": "a@example.com"},
        }


_MICROSOFT = (SignIns(), DirectoryAudits(), Microsoft365())
_ALL = (Okta(), Slack(), GitHub(), *_MICROSOFT, Google(), Duo(), Auth0(), OnePassword(), Cloudflare())
VENDORS: Mapping[str, Vendor] = {each.name: each for each in _ALL}
