"""How Microsoft's APIs answer: Graph with its filters and next links, and the Management Activity feed.

- learn.microsoft.com/graph/api/signin-list, /graph/throttling-limits
- learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from orchestration.demo.simulators.audit_apis.vendor import Asked, LostCursor, Reply, Server, Vendor, iso, ms
from orchestration.demo.simulators.audit_apis.world import Event, World


class Graph(Vendor):
    """Microsoft Graph: OData filters and next links, tokens of an OAuth server."""

    quota, has_tokens = (5, 10.0), True
    time = "createdDateTime"

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer with a next link in the body."""
        given = asked.query["$filter"]
        since, until = (ms(re.findall(rf"{self.time} {word} (\S+)", given)[0]) for word in ("ge", "lt"))
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
        return {"id": event.uid, "createdDateTime": iso(event.at), "signInEventTypes": [event.stream]}


class DirectoryAudits(Graph):
    """Directory audits."""

    name, path, time = "entra_directory_audit", "/v1.0/auditLogs/directoryAudits", "activityDateTime"

    def record(self, event: Event) -> dict[str, Any]:
        """Return a directoryAudit."""
        named = {"activityDisplayName": "Add user", "category": "UserManagement", "result": "success"}
        return {"id": event.uid, "activityDateTime": iso(event.at), **named}


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
        since, until = ms(asked.query["startTime"]), ms(asked.query["endTime"])
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
                "contentCreated": iso(each.at),
                "contentExpiration": iso(each.at + 7 * 86_400_000),
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
            "CreationTime": iso(event.at)[:19],
            "Operation": "FileAccessed",
            "OrganizationId": "00000000-0000-0000-0000-000000000001",
            "RecordType": 6,
            "UserType": 0,
            "UserKey": "k",
            "UserId": "ada@example.com",
            "Workload": "SharePoint",
        }


@dataclass
class _View:
    world: World
    started: set[str]
    expired: set[str]
    generation: int


def _af(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": message}})
