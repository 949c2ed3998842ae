"""A simulated Microsoft Entra tenant: tokens by client credentials, and the lists of Graph that are asked for.

Facts: learn.microsoft.com/graph (paging: `@odata.nextLink` with an opaque `$skiptoken`, absent on the last page;
`$top` up to 999, but 100 with `$expand`, as the known issue says; `/directoryRoles` takes no `$top`; 401
InvalidAuthenticationToken; 429 TooManyRequests with Retry-After), and of the token endpoint
/entra/identity-platform/v2-oauth2-client-creds-grant-flow (`invalid_client` with 401, AADSTS700016 with 400).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from tests.simulators.lookups_api import LookupApi, Request, Response

TENANT, CLIENT = "example.onmicrosoft.com", "00000000-0000-0000-0000-00000000c11e"
_MEMBERS = re.compile(r"/v1[.]0/groups/([0-9a-f-]{36})/transitiveMembers/microsoft[.]graph[.]user")
_ROLE_MEMBERS = re.compile(r"/v1[.]0/directoryRoles/([0-9a-f-]{36})/members")


class GraphSimulator(LookupApi):
    """`users`, `groups`, `devices`, `roles` are objects as Graph has them, `members` and `role_members` id → user ids.

    `page`: the most of a page. `requests_a_token`: a token is refused after so many requests, as one that expired.
    """

    def __init__(
        self,
        users: list[dict[str, Any]],
        *,
        groups: list[dict[str, Any]] | None = None,
        members: dict[str, list[str]] | None = None,
        roles: list[dict[str, Any]] | None = None,
        role_members: dict[str, list[str]] | None = None,
        devices: list[dict[str, Any]] | None = None,
        secret: str = "a-secret",
        page: int = 999,
        requests_a_token: int = 10_000,
        expires_in: int = 3599,
    ) -> None:
        super().__init__(secret)
        self.users, self.groups, self.devices, self.roles = users, groups or [], devices or [], roles or []
        self.members, self.role_members = members or {}, role_members or {}
        self.tokens = 0
        self._page, self._requests_a_token, self._expires_in = page, requests_a_token, expires_in
        self._used = 0

    def answer(self, request: Request) -> Response:
        if request.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._token(request.body)
        self._used += 1
        is_valid = request.headers.get("Authorization") == f"Bearer token-{self.tokens}" and self.tokens
        if not is_valid or self._used > self._requests_a_token:
            return _error(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
        listed = self._listed(request)
        return listed if isinstance(listed, Response) else self._paged(request, listed)

    def _token(self, form: dict[str, str]) -> Response:
        if form.get("client_id") != CLIENT or form.get("grant_type") != "client_credentials":
            return Response(400, {"error": "unauthorized_client", "error_description": "AADSTS700016: not found"})
        if form.get("client_secret") != self.key:
            text = f"AADSTS7000215: Invalid client secret provided. {form.get('client_secret')}\r\nTrace ID: 0"
            return Response(401, {"error": "invalid_client", "error_description": text})
        if form.get("scope") != f"{self.url}/.default":
            return Response(400, {"error": "invalid_scope", "error_description": "AADSTS70011: no such scope"})
        self.tokens, self._used = self.tokens + 1, 0
        token = {"token_type": "Bearer", "expires_in": self._expires_in, "access_token": f"token-{self.tokens}"}
        return Response(200, token)

    def _listed(self, request: Request) -> list[dict[str, Any]] | Response:
        lists = {
            "/v1.0/users": self.users,
            "/v1.0/groups": self.groups,
            "/v1.0/devices": self.devices,
            "/v1.0/directoryRoles": self.roles,
        }
        if request.path in lists:
            if request.path.endswith("Roles") and "$top" in request.query:
                return _error(400, "Request_UnsupportedQuery", "$top is not supported")
            return lists[request.path]
        for pattern, members in ((_MEMBERS, self.members), (_ROLE_MEMBERS, self.role_members)):
            if found := pattern.fullmatch(request.path):
                return [user for user in self.users if user["id"] in members.get(found[1], [])]
        return _error(400, "BadRequest", f"Resource not found for the segment: {request.path}")

    def _paged(self, request: Request, listed: list[dict[str, Any]]) -> Response:
        top = int(request.query.get("$top", "100"))
        if not 1 <= top <= 999:
            return _error(400, "Request_UnsupportedQuery", "Invalid page size specified: must be between 1 and 999")
        size = min(top, self._page, 100 if "$expand" in request.query else 999)
        start = int(request.query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": [self._selected(item, request) for item in listed[start : start + size]]}
        if start + size < len(listed):
            query = urlencode({**request.query, "$skiptoken": str(start + size)})
            page["@odata.nextLink"] = f"{self.url}{request.path}?{query}"
        return Response(200, page)

    def _selected(self, item: dict[str, Any], request: Request) -> dict[str, Any]:
        """Only what `$select` and `$expand` name."""
        wanted = [*request.query.get("$select", "").split(","), request.query.get("$expand", "").partition("(")[0]]
        return {name: value for name, value in item.items() if name in wanted}


def _error(status: int, code: str, message: str) -> Response:
    return Response(status, {"error": {"code": code, "message": message, "innerError": {"request-id": "0"}}})
