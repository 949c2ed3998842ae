"""A TAXII 2.1 server on this machine: discovery, one API root, its collections and their objects.

Facts: TAXII 2.1 (docs.oasis-open.org/cti/taxii/v2.1): media type application/taxii+json;version=2.1, 406 when it is not
accepted, 401 without authentication; objects in the order in which they were added, `added_after` exclusive, `limit`
(a server may give fewer), `more` and `next`, headers X-TAXII-Date-Added-First and -Last; an empty envelope is `{}`.
"""

from __future__ import annotations

import base64
from typing import Any

from tests.simulators.lookups_api import LookupApi, Request, Response

MEDIA_TYPE = "application/taxii+json;version=2.1"
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


class TaxiiSimulator(LookupApi):
    """`added`: (time added, object), in order. `page`: the most of a page; `has_next`: whether it says `next`."""

    def __init__(
        self,
        added: list[tuple[str, dict[str, Any]]],
        *,
        user: str = "reader",
        password: str = "a-password",
        page: int = 100,
        has_next: bool = True,
        can_read: bool = True,
        media_type: str = MEDIA_TYPE,
    ) -> None:
        super().__init__(password)
        self.added = added
        self._user = user
        self._page, self._has_next, self._can_read, self._media_type = page, has_next, can_read, media_type

    def answer(self, request: Request) -> Response:
        wanted = base64.b64encode(f"{self._user}:{self.key}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            return self._response(401, {"title": "Unauthorized", "http_status": "401"})
        accepted = request.headers.get("Accept", "").replace(" ", "")
        if accepted not in ("application/taxii+json", self._media_type):
            return self._response(406, {"title": "Media type not supported", "http_status": "406"})
        root = f"{self.url}/intel/"
        answers = {
            "/taxii2/": {"title": "Example", "default": root, "api_roots": [root]},
            "/intel/": {"title": "Intel", "versions": [MEDIA_TYPE], "max_content_length": 1 << 20},
            "/intel/collections/": {"collections": [self._collection()]},
            f"/intel/collections/{COLLECTION}/": self._collection(),
        }
        if request.path in answers:
            return self._response(200, answers[request.path])
        if request.path == f"/intel/collections/{COLLECTION}/objects/":
            return self._objects(request)
        return self._response(404, {"title": "Not found", "http_status": "404"})

    def _collection(self) -> dict[str, Any]:
        return {
            "id": COLLECTION,
            "title": "Indicators",
            "alias": "indicators",
            "can_read": self._can_read,
            "can_write": False,
            "media_types": ["application/stix+json;version=2.1"],
        }

    def _objects(self, request: Request) -> Response:
        after = request.query.get("added_after", "")
        rows = [row for row in self.added if row[0] > after]
        start = int(request.query.get("next", "0"))
        size = min(int(request.query.get("limit", "100")), self._page)
        page = rows[start : start + size]
        envelope: dict[str, Any] = {"objects": [each for _, each in page]} if page else {}
        if start + size < len(rows):
            envelope |= {"more": True} | ({"next": str(start + size)} if self._has_next else {})
        dates = {"X-TAXII-Date-Added-First": page[0][0], "X-TAXII-Date-Added-Last": page[-1][0]} if page else {}
        return self._response(200, envelope, dates)

    def _response(self, status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
        return Response(status, body, {"Content-Type": self._media_type, **(headers or {})})
