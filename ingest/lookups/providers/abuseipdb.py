"""AbuseIPDB: how often an address was reported for abuse, and how sure that is.

Source: docs.abuseipdb.com (APIv2, CHECK endpoint, daily rate limits, error handling). One address a request; the free
plan has 1,000 checks a day, counted from 00:00 UTC. 429 says in Retry-After and X-RateLimit-Reset when it goes on; 422
refuses what is no address. `abuseConfidenceScore` is 0-100; AbuseIPDB advises to block from 75 on.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from ingest.lookups.client import Client, LookupFailed
from ingest.lookups.provider import Answer, LookupOptions
from ingest.reference.observables import ObservableKey

KINDS = frozenset({"ip"})
KEY_HEADER = "Key"
_FIELDS = {
    "abuseConfidenceScore": "confidence",
    "totalReports": "reports",
    "numDistinctUsers": "reporters",
    "lastReportedAt": "last_reported_at",
    "countryCode": "country",
    "usageType": "usage",
    "isp": "isp",
    "domain": "domain",
    "isTor": "is_tor",
    "isWhitelisted": "is_whitelisted",
}
_UNPROCESSABLE = 422


class Options(LookupOptions):
    """`max_age_days`: how old a report may be to count (1-365)."""

    base_url: str = "https://api.abuseipdb.com/api/v2"
    per_day: int | None = Field(default=1000, ge=1, le=2**53)
    lifetime_hours: float = Field(default=24, gt=0, le=876_000)
    max_age_days: int = Field(default=90, ge=1, le=365)


class AbuseIpDb:
    """See the charter of this file."""

    kinds = KINDS
    batch = 1
    counts: Literal["requests", "observables"] = "requests"

    def __init__(self, options: Options, client: Client) -> None:
        self._options, self._client = options, client

    def takes(self, key: ObservableKey) -> bool:
        """Whether it is an address."""
        return key.kind == "ip" and key.prefix == 128

    def place(self, key: ObservableKey) -> str:
        """Return "": there is one service."""
        return ""

    def ask(self, keys: Sequence[ObservableKey]) -> dict[ObservableKey, Answer]:
        """Ask about one address."""
        (key,) = keys
        asked = {"ipAddress": key.value, "maxAgeInDays": str(self._options.max_age_days)}
        reply = self._client.get("check", asked, answers=(200, 404, _UNPROCESSABLE))
        if reply.status == _UNPROCESSABLE:
            return {key: Answer("refused")}
        if reply.status != 200:
            return {key: Answer("unknown")}
        return {key: _answer(reply.body)}


def _answer(body: Any) -> Answer:
    said = body.get("data") if isinstance(body, dict) else None
    confidence = said.get("abuseConfidenceScore") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(confidence, int | float):
        raise LookupFailed("abuseipdb: the answer has no data.abuseConfidenceScore")
    data = {name: said[field] for field, name in _FIELDS.items() if said.get(field) is not None}
    return Answer("known", data, float(confidence), _reputation(confidence, bool(said.get("isWhitelisted"))))


def _reputation(confidence: float, whitelisted: bool) -> int:
    """OCSF's reputation: from 75, what AbuseIPDB would block, malicious; from 25 risky; below a beginning suspicion.

    No report is no history (Unknown), not innocence; only what AbuseIPDB itself lists as good is safe.
    """
    if confidence >= 90:
        return 10
    if confidence >= 75:
        return 9
    if confidence >= 50:
        return 8
    if confidence >= 25:
        return 7
    if confidence > 0:
        return 6
    return 3 if whitelisted else 0


def open_provider(options: Options, client: Client) -> AbuseIpDb:
    """Return the provider."""
    return AbuseIpDb(options, client)
