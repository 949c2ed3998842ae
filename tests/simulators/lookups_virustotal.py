"""A simulated VirusTotal: reports of addresses, domains, URLs and files of API v3, with its errors and quotas.

Facts: docs.virustotal.com/reference (ip-info, domain-info, url-info, file-info, errors): the header `x-apikey`; 401
AuthenticationRequiredError or WrongCredentialsError; 404 NotFoundError; 400 InvalidArgumentError; 429
QuotaExceededError without a word on when it goes on. The public API allows 4 requests a minute and 500 a day.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable

from tests.simulators.lookups_api import LookupApi, Request, Response

_COLLECTIONS = ("ip_addresses", "domains", "urls", "files")


class VirusTotalSimulator(LookupApi):
    """`malicious`: observable → engines that say so; others are not found. `clock`: epoch seconds."""

    def __init__(
        self,
        malicious: dict[str, int] | None = None,
        key: str = "a-key",
        per_minute: int = 4,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(key)
        self.malicious = malicious or {}
        self.per_minute = per_minute
        self.at: list[float] = []
        self._clock = clock

    def about(self, request: Request) -> Iterable[str]:
        collection, _, uid = request.path.removeprefix("/api/v3/").partition("/")
        if collection == "urls":
            return [base64.urlsafe_b64decode(uid + "=" * (-len(uid) % 4)).decode()]
        return [uid]

    def answer(self, request: Request) -> Response:
        if not (given := request.headers.get("x-apikey")):
            return _error(401, "AuthenticationRequiredError", "X-Apikey header is missing")
        if given != self.key:
            return _error(401, "WrongCredentialsError", f"Wrong API key {given}")  # careless, as proxies may be
        now = self._clock()
        if len([at for at in self.at if at > now - 60]) >= self.per_minute:
            return _error(429, "QuotaExceededError", "Quota exceeded")
        self.at.append(now)
        if request.path.split("/")[3] not in _COLLECTIONS:
            return _error(400, "BadRequestError", "unknown collection")
        (uid,) = request.about
        if uid not in self.malicious:
            return _error(404, "NotFoundError", f'"{uid}" not found')
        found = self.malicious[uid]
        stats = {"malicious": found, "suspicious": 0, "harmless": 60 - found, "undetected": 10, "timeout": 0}
        attributes = {"last_analysis_stats": stats, "reputation": -found, "last_analysis_date": 1_772_400_000}
        return Response(200, {"data": {"id": uid, "type": "any", "attributes": attributes}})


def _error(status: int, code: str, message: str) -> Response:
    return Response(status, {"error": {"code": code, "message": message}})
