"""A simulated Okta org's Users and Groups APIs, with Okta's published behaviour.

The endpoints, pages and limits; the rate limit is the simulated org's.

Facts: developer.okta.com/docs/api, Users and Groups: a list of users leaves out DEPROVISIONED ones unless a filter asks
for them; `limit` is cut to the maximum (200 users, 10,000 groups, 1,000 members); every answer has a `self` link and,
when more follows, a `next` link with `after`; errors are objects with errorCode and errorSummary.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from orchestration.demo.simulators.okta.org import RateLimit
from tests.simulators.lookups_api import LookupApi, Request, Response

_STATUS_FILTER = re.compile(r'status eq "([A-Z_]+)"\Z')


class OktaDirectory(LookupApi):
    """`users` and `groups` are objects as Okta has them; `members`: group id → user ids; `admins`: user ids.

    `page`: the most of a page.
    """

    def __init__(
        self,
        users: list[dict[str, Any]],
        groups: list[dict[str, Any]] = [],  # noqa: B006 - never changed
        members: dict[str, list[str]] | None = None,
        *,
        token: str = "a-token",
        admins: list[str] | None = None,
        page: int = 200,
        rate_limit: int = 600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(token)
        self.users, self.groups, self.members, self.admins = users, groups, members or {}, admins or []
        self._page = page
        self._limit = RateLimit(rate_limit, 60.0, 1.0, clock)

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") not in (f"SSWS {self.key}", f"Bearer {self.key}"):
            return _error(401, "E0000011", "Invalid token provided")
        allowed, headers = self._limit.take()
        if not allowed:
            return _error(429, "E0000047", "API call exceeded rate limit due to too many requests.", headers)
        if request.path == "/api/v1/iam/assignees/users":
            return self._assignees(request, headers)
        listed = self._listed(request)
        if isinstance(listed, Response):
            return listed
        return self._paged(request, listed, headers)

    def _listed(self, request: Request) -> list[dict[str, Any]] | Response:
        if request.path == "/api/v1/users":
            return self._users(request)
        if request.path == "/api/v1/groups":
            return self.groups
        found = re.fullmatch(r"/api/v1/groups/(\w+)/users", request.path)
        if found and any(group["id"] == found[1] for group in self.groups):
            ids = self.members.get(found[1], [])
            return [user for user in self.users if user["id"] in ids]
        return _error(404, "E0000007", f"Not found: Resource not found: {request.path}")

    def _users(self, request: Request) -> list[dict[str, Any]] | Response:
        given = request.query.get("filter")
        if given is None:
            return [user for user in self.users if user["status"] != "DEPROVISIONED"]
        status = _STATUS_FILTER.match(given)
        if not status:
            return _error(400, "E0000031", f"Invalid search criteria: {given}")
        return [user for user in self.users if user["status"] == status[1]]

    def _assignees(self, request: Request, headers: dict[str, str]) -> Response:
        """Unlike the other lists an object, whose next link stands in its body."""
        limit, start = min(int(request.query.get("limit", "100")), self._page), int(request.query.get("after", "0"))
        page: dict[str, Any] = {"value": [{"id": each, "orn": each} for each in self.admins[start : start + limit]]}
        if start + limit < len(self.admins):
            query = urlencode({**request.query, "after": str(start + limit)})
            page["_links"] = {"next": {"href": f"{self.url}{request.path}?{query}"}}
        return Response(200, page, headers)

    def _paged(self, request: Request, listed: list[dict[str, Any]], headers: dict[str, str]) -> Response:
        limit = min(int(request.query.get("limit", "200")), self._page)
        start = int(request.query.get("after", "0"))
        links = [f'<{self.url}{request.path}>; rel="self"']
        if start + limit < len(listed):
            query = urlencode({**request.query, "after": str(start + limit)})
            links.append(f'<{self.url}{request.path}?{query}>; rel="next"')
        return Response(200, listed[start : start + limit], {**headers, "Link": ", ".join(links)})


def _error(status: int, code: str, summary: str, headers: dict[str, str] | None = None) -> Response:
    body = {"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oae0", "errorCauses": []}
    return Response(status, body, headers or {})
