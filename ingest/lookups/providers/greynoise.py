"""GreyNoise: whether an address scans the whole Internet, and whether it belongs to a common business service.

Source: docs.greynoise.io (IP lookup v3, multi IP lookup: up to 10,000 addresses a request; Community API: one address a
request, 404 when it was never seen, 429 with Retry-After). With a subscription an address looked up counts as one
search, whatever the request; `counts` says so. Classifications are malicious, suspicious, benign and unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from ingest.lookups.client import Client, LookupFailed
from ingest.lookups.provider import Answer, LookupOptions
from ingest.reference.observables import ObservableKey

KINDS = frozenset({"ip"})
KEY_HEADER = "key"
# OCSF's reputation; GreyNoise has no number of its own, so the score that is kept is the same one.
_REPUTATIONS = {"malicious": 9, "suspicious": 7, "benign": 3}
_BAD_REQUEST = 400


class Options(LookupOptions):
    """`plan`: community (one address a request) or subscription (many).

    `batch`: addresses a request of the subscription.
    """

    base_url: str = "https://api.greynoise.io"
    plan: Literal["community", "subscription"] = "community"
    batch: int = Field(default=1000, ge=1, le=10_000)
    per_day: int | None = Field(default=50, ge=1, le=2**53)
    lifetime_hours: float = Field(default=24, gt=0, le=876_000)


class GreyNoise:
    """See the charter of this file."""

    kinds = KINDS
    counts: Literal["requests", "observables"] = "observables"

    def __init__(self, options: Options, client: Client) -> None:
        self._plan, self._client = options.plan, client
        self.batch = options.batch if options.plan == "subscription" else 1

    def takes(self, key: ObservableKey) -> bool:
        """Whether it is an IPv4 address: GreyNoise's sensors see no other."""
        return key.kind == "ip" and key.prefix == 128 and ":" not in key.value

    def place(self, key: ObservableKey) -> str:
        """Return "": there is one service."""
        return ""

    def ask(self, keys: Sequence[ObservableKey]) -> dict[ObservableKey, Answer]:
        """Ask about one address, or about many at once."""
        if self._plan == "community":
            return {keys[0]: self._ask_community(keys[0])}
        reply = self._client.post("v3/ip", {"ips": [key.value for key in keys]}, len(keys), answers=(200,))
        rows = reply.body.get("data") if isinstance(reply.body, dict) else None
        if not isinstance(rows, list):
            raise LookupFailed("greynoise: the answer has no list `data`")
        said = {row.get("ip"): row for row in rows if isinstance(row, dict)}
        return {key: _of_row(said[key.value]) if key.value in said else Answer("unknown") for key in keys}

    def _ask_community(self, key: ObservableKey) -> Answer:
        reply = self._client.get(f"v3/community/{key.value}", answers=(200, 404, _BAD_REQUEST))
        if reply.status == _BAD_REQUEST:
            return Answer("refused")
        if reply.status != 200:
            return Answer("unknown")
        if not isinstance(reply.body, dict) or "noise" not in reply.body:
            raise LookupFailed("greynoise: the answer has no field `noise`")
        return _answer(reply.body, bool(reply.body["noise"]), bool(reply.body.get("riot")))


def _of_row(row: Mapping[str, Any]) -> Answer:
    scanner = row.get("internet_scanner_intelligence") or {}
    business = row.get("business_service_intelligence") or {}
    said = {
        "classification": scanner.get("classification"),
        "name": scanner.get("actor") if scanner.get("found") else business.get("name"),
        "last_seen": scanner.get("last_seen"),
        "trust_level": business.get("trust_level"),
        "category": business.get("category"),
    }
    return _answer(said, bool(scanner.get("found")), bool(business.get("found")))


def _answer(said: Mapping[str, Any], noise: bool, riot: bool) -> Answer:
    """One answer; an address in neither data set is not known."""
    if not noise and not riot:
        return Answer("unknown")
    data: dict[str, Any] = {"noise": noise, "riot": riot}
    for name in ("classification", "name", "last_seen", "trust_level", "category"):
        if said.get(name) not in (None, "", "unknown"):
            data[name] = said[name]
    score = _REPUTATIONS.get(str(said.get("classification", "")).lower(), 3 if riot and not noise else 5)
    return Answer("known", data, float(score), score)


def open_provider(options: Options, client: Client) -> GreyNoise:
    """Return the provider."""
    return GreyNoise(options, client)
