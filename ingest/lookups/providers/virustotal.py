"""VirusTotal: what engines say of addresses, domains, URLs and files (API v3).

Source: docs.virustotal.com (ip-info, domain-info, url-info, file-info, errors, public-vs-premium-api). One object a
request; the public API allows 4 requests a minute and 500 a day, and may not be used in commercial workflows. Quotas of
a day begin at 00:00 UTC. Errors are `{"error": {"code", "message"}}`; 429 is QuotaExceededError or
TooManyRequestsError. A URL's id is its unpadded base64 in the alphabet for URLs.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from ingest.lookups.client import Client, LookupFailed
from ingest.lookups.provider import Answer, LookupOptions
from ingest.reference.observables import ObservableKey

KINDS = frozenset({"ip", "domain", "url", "hash"})
KEY_HEADER = "x-apikey"
_COLLECTIONS = {"ip": "ip_addresses", "domain": "domains", "url": "urls", "hash": "files"}
_VERDICTS = ("malicious", "suspicious", "harmless", "undetected")
_FIELDS = ("reputation", "as_owner", "asn", "country", "network", "registrar", "meaningful_name", "type_description")
_BAD_REQUEST = 400


class Options(LookupOptions):
    """The budget by default is that of the public API."""

    base_url: str = "https://www.virustotal.com/api/v3"
    per_minute: int | None = Field(default=4, ge=1, le=2**53)
    per_day: int | None = Field(default=500, ge=1, le=2**53)
    per_month: int | None = Field(default=15_500, ge=1, le=2**53)
    lifetime_hours: float = Field(default=72, gt=0, le=876_000)


class VirusTotal:
    """See the charter of this file."""

    kinds = KINDS
    batch = 1
    counts: Literal["requests", "observables"] = "requests"

    def __init__(self, client: Client) -> None:
        self._client = client

    def takes(self, key: ObservableKey) -> bool:
        """Whether it is one of the four kinds; of hashes MD5, SHA-1 and SHA-256."""
        return key.kind in KINDS and (key.kind != "hash" or len(key.value) in (32, 40, 64))

    def place(self, key: ObservableKey) -> str:
        """Return "": there is one service."""
        return ""

    def ask(self, keys: Sequence[ObservableKey]) -> dict[ObservableKey, Answer]:
        """Ask about one object."""
        (key,) = keys
        reply = self._client.get(f"{_COLLECTIONS[key.kind]}/{_id(key)}", answers=(200, 404, _BAD_REQUEST))
        if reply.status == _BAD_REQUEST:
            return {key: Answer("refused")}
        return {key: Answer("unknown") if reply.status != 200 else _answer(reply.body)}


def _id(key: ObservableKey) -> str:
    if key.kind != "url":
        return key.value
    return base64.urlsafe_b64encode(key.value.encode()).decode().rstrip("=")


def _answer(body: Any) -> Answer:
    said = (body.get("data") or {}).get("attributes") if isinstance(body, dict) else None
    stats = said.get("last_analysis_stats") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(stats, dict):
        raise LookupFailed("virustotal: the answer has no data.attributes.last_analysis_stats")
    counts = {name: int(stats.get(name) or 0) for name in _VERDICTS}
    data: dict[str, Any] = counts | {name: said[name] for name in _FIELDS if said.get(name) not in (None, "")}
    if isinstance(said.get("tags"), list) and said["tags"]:
        data["tags"] = said["tags"][:20]
    if threat := (said.get("popular_threat_classification") or {}).get("suggested_threat_label"):
        data["threat_label"] = threat
    if isinstance(at := said.get("last_analysis_date"), int):
        data["analysed_at"] = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Answer("known", data, float(counts["malicious"]), _reputation(counts))


def _reputation(counts: dict[str, int]) -> int:
    """OCSF's reputation from how many engines say malicious: one alone is often wrong, five hardly ever.

    The score that is kept is their number. Without any analysis the reputation is unknown.
    """
    malicious, suspicious = counts["malicious"], counts["suspicious"]
    for least, score in ((10, 10), (5, 9), (3, 8), (1, 7)):
        if malicious >= least:
            return score
    if suspicious:
        return 6
    return 3 if counts["harmless"] >= 10 else 5 if counts["harmless"] + counts["undetected"] else 0


def open_provider(options: Options, client: Client) -> VirusTotal:
    """Return the provider."""
    return VirusTotal(client)
