"""Simulated RDAP: IANA's bootstrap files and a registry, over HTTP on this machine.

Facts: RFC 9224 (bootstrap files: `services` of [entries, servers]), RFC 9082 (paths), RFC 9083 (objects, error bodies
with `errorCode` and `title`), RFC 7480 (404, redirects, 429 with Retry-After).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from tests.simulators.lookups_api import LookupApi, Request, Response


class BootstrapSimulator(LookupApi):
    """IANA's files: `services` is file name (ipv4, ipv6, dns) → [(entries, server), …]."""

    def __init__(self, services: dict[str, list[tuple[list[str], str]]]) -> None:
        super().__init__()
        self.services = services

    def answer(self, request: Request) -> Response:
        name = request.path.rpartition("/")[2].removesuffix(".json")
        if name not in self.services:
            return Response(404, b"")
        listed = [[entries, [server]] for entries, server in self.services[name]]
        return Response(200, {"version": "1.0", "publication": "2026-01-01T00:00:00Z", "services": listed})


class RegistrySimulator(LookupApi):
    """One registry: `networks` (CIDR → name) and `domains` (name → registrar); `elsewhere`: path → where it leads."""

    def __init__(
        self,
        networks: dict[str, str] | None = None,
        domains: dict[str, str] | None = None,
        elsewhere: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.networks, self.domains, self.elsewhere = networks or {}, domains or {}, elsewhere or {}

    def about(self, request: Request) -> Iterable[str]:
        return [request.path.rpartition("/")[2]]

    def answer(self, request: Request) -> Response:
        _, kind, text = request.path.split("/", 2)
        if request.path in self.elsewhere:
            return Response(302, b"", {"Location": self.elsewhere[request.path]})
        found = self._network(text) if kind == "ip" else self._domain(text)
        if found is None:
            return Response(404, {"errorCode": 404, "title": "Not found"}, {"Content-Type": "application/rdap+json"})
        return Response(200, found, {"Content-Type": "application/rdap+json"})

    def _network(self, text: str) -> dict[str, Any] | None:
        for cidr, name in self.networks.items():
            network = ip_network(cidr)
            if ip_address(text) in network:
                return {
                    "objectClassName": "ip network",
                    "handle": f"NET-{name}",
                    "name": name,
                    "country": "NL",
                    "startAddress": str(network[0]),
                    "endAddress": str(network[-1]),
                    "events": [{"eventAction": "registration", "eventDate": "2019-05-01T00:00:00Z"}],
                    "entities": [
                        _entity("registrant", "org", f"{name} B.V."),
                        _entity("abuse", "individual", "Jan Jansen"),
                    ],
                }
        return None

    def _domain(self, text: str) -> dict[str, Any] | None:
        if text not in self.domains:
            return None
        return {
            "objectClassName": "domain",
            "ldhName": text,
            "status": ["client transfer prohibited"],
            "events": [{"eventAction": "registration", "eventDate": "2026-02-28T10:00:00Z"}],
            "entities": [_entity("registrar", "org", self.domains[text])],
        }


def _entity(role: str, kind: str, name: str) -> dict[str, Any]:
    card = [["version", {}, "text", "4.0"], ["fn", {}, "text", name], ["kind", {}, "text", kind]]
    return {"objectClassName": "entity", "roles": [role], "vcardArray": ["vcard", card]}
