"""A simulated AbuseIPDB: the CHECK endpoint of APIv2 with its published errors and daily limit.

Facts: docs.abuseipdb.com (check endpoint, error handling, api daily rate limits): the header `Key`; errors as
`{"errors": [{"detail", "status"}]}`; 401 without a valid key, 422 for what is no address; X-RateLimit-Limit and
-Remaining with every answer, on 429 Retry-After and X-RateLimit-Reset (epoch seconds) as well. An address without
reports is answered with a score of 0. Private addresses are answered too (`isPublic` false): AbuseIPDB does not guard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from tests.simulators.lookups_api import LookupApi, Request, Response

_DAY = 86_400


class AbuseIpDbSimulator(LookupApi):
    """`scores`: address → confidence. `per_day`: checks of a day, counted from 00:00 UTC by `clock` (epoch seconds)."""

    def __init__(
        self,
        scores: dict[str, int] | None = None,
        key: str = "a-key",
        per_day: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(key)
        self.scores = scores or {}
        self.per_day = per_day
        self._clock = clock
        self._used: dict[int, int] = {}

    def about(self, request: Request) -> Iterable[str]:
        return [request.query["ipAddress"]] if "ipAddress" in request.query else []

    def answer(self, request: Request) -> Response:
        if request.headers.get("Key") != self.key:
            return _error(401, "Authentication failed. Your API key is either missing, incorrect, or revoked.")
        if request.path != "/api/v2/check":
            return _error(404, "The requested endpoint was not found.")
        day = int(self._clock() // _DAY)
        used = self._used[day] = self._used.get(day, 0) + 1
        limits = {"X-RateLimit-Limit": str(self.per_day), "X-RateLimit-Remaining": str(max(0, self.per_day - used))}
        if used > self.per_day:
            wait = int((day + 1) * _DAY - self._clock()) + 1
            reset = {"Retry-After": str(wait), "X-RateLimit-Reset": str((day + 1) * _DAY)}
            return _error(
                429, f"Daily rate limit of {self.per_day} requests exceeded for this endpoint.", limits | reset
            )
        return self._checked(request.query.get("ipAddress", ""), limits)

    def _checked(self, text: str, limits: dict[str, str]) -> Response:
        try:
            address = ip_address(text)
        except ValueError:
            return _error(422, "The ip address must be a valid IPv4 or IPv6 address (e.g. 8.8.8.8).", limits)
        score = self.scores.get(text, 0)
        data: dict[str, Any] = {
            "ipAddress": text,
            "isPublic": address.is_global,
            "ipVersion": address.version,
            "isWhitelisted": None,
            "abuseConfidenceScore": score,
            "countryCode": "NL",
            "usageType": "Data Center/Web Hosting/Transit",
            "isp": "Example Hosting",
            "domain": "hosting.example",
            "hostnames": [],
            "isTor": False,
            "totalReports": score,
            "numDistinctUsers": score // 2,
            "lastReportedAt": "2026-03-01T12:00:00+00:00" if score else None,
        }
        return Response(200, {"data": data}, limits)


def _error(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return Response(status, {"errors": [{"detail": detail, "status": status}]}, headers or {})
