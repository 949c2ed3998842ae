"""A simulated GreyNoise: the Community API and the multi IP lookup of v3.

Facts: docs.greynoise.io (getcommunityip, using the v3 API, v2-v3 migration): the header `key`; the Community API
answers one address, 404 with `noise` and `riot` false when it was never seen, 400 for what is no routable address; the
multi lookup takes `{"ips": [...]}`, up to 10,000, and answers with `data` and `request_metadata`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from tests.simulators.lookups_api import LookupApi, Request, Response


class GreyNoiseSimulator(LookupApi):
    """`seen`: address → classification of the scanners that are known; `services`: address → name of the service."""

    def __init__(
        self, seen: dict[str, str] | None = None, services: dict[str, str] | None = None, key: str = "a-key"
    ) -> None:
        super().__init__(key)
        self.seen, self.services = seen or {}, services or {}

    def about(self, request: Request) -> Iterable[str]:
        return request.body["ips"] if request.body else [request.path.rpartition("/")[2]]

    def answer(self, request: Request) -> Response:
        if request.headers.get("key") != self.key:
            return Response(401, {"message": "Invalid or missing API key"})
        if request.path == "/v3/ip" and request.method == "POST":
            return self._multi(request.about)
        if not request.path.startswith("/v3/community/"):
            return Response(404, {"message": "no such endpoint"})
        (ip,) = request.about
        if not ip_address(ip).is_global:
            return Response(400, {"ip": ip, "message": "Request is not a valid routable IPv4 address"})
        known = {"ip": ip, "noise": ip in self.seen, "riot": ip in self.services}
        if ip not in self.seen and ip not in self.services:
            message = "IP not observed scanning the internet or contained in RIOT data set."
            return Response(404, known | {"message": message})
        more = {"classification": self.seen.get(ip, "benign"), "name": self.services.get(ip, "unknown")}
        return Response(200, known | more | {"last_seen": "2026-03-01", "message": "Success"})

    def _multi(self, asked: Iterable[str]) -> Response:
        ips = list(asked)
        if len(ips) > 10_000:
            return Response(400, {"message": "too many IPs"})
        rows = [self._row(ip) for ip in ips if ip in self.seen or ip in self.services]
        missing = [ip for ip in ips if ip not in self.seen and ip not in self.services]
        return Response(200, {"data": rows, "request_metadata": {"restricted_fields": [], "ips_not_found": missing}})

    def _row(self, ip: str) -> dict[str, Any]:
        scanner = {"found": ip in self.seen, "classification": self.seen.get(ip, ""), "last_seen": "2026-03-01"}
        business = {"found": ip in self.services, "name": self.services.get(ip, ""), "trust_level": "1"}
        return {"ip": ip, "internet_scanner_intelligence": scanner, "business_service_intelligence": business}
