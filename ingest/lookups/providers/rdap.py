"""RDAP, the successor of WHOIS: to whom an address or a domain is registered, and since when.

Source: RFC 9224 (IANA's bootstrap files say which registry answers for which addresses and top-level domains), RFC 9082
(paths `ip/<address>` and `domain/<name>`), RFC 7480 (404 for what is not registered there, redirects to who knows
better, 429 with Retry-After), RFC 9083 and RFC 7095 (the answer, and the names of entities as jCard). No key;
registries are asked gently, 60 requests a minute by default for all together.

A registry knows the name that was registered, not what is below it: `a.b.example.co.uk` is asked about as `co.uk`,
then, where that is nobody's, as `example.co.uk`. So the rest of a name is not sent either.

It judges nothing: an answer has `data` and no reputation. Names of persons are not kept, only those of organisations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from ingest.lookups.client import Client, LookupFailed
from ingest.lookups.provider import Answer, LookupOptions
from ingest.reference.observables import ObservableKey

KINDS = frozenset({"ip", "domain"})
KEY_HEADER = None
_BOOTSTRAP_SECONDS = 24 * 3600.0
_REGISTRY = "registrar", "registrant", "administrative", "abuse"
_BAD_REQUEST = 400


class Options(LookupOptions):
    """`base_url` is where the bootstrap files lie; with `bootstrap: false` a server that answers or redirects all."""

    base_url: str = "https://data.iana.org/rdap"
    bootstrap: bool = True
    per_minute: int | None = Field(default=60, ge=1, le=2**53)
    per_day: int | None = Field(default=5000, ge=1, le=2**53)
    lifetime_hours: float = Field(default=24 * 30, gt=0, le=876_000)
    negative_lifetime_hours: float = Field(default=24 * 7, gt=0, le=876_000)


class Rdap:
    """See the charter of this file."""

    kinds = KINDS
    batch = 1
    counts: Literal["requests", "observables"] = "requests"

    def __init__(self, options: Options, client: Client) -> None:
        self._options, self._client = options, client
        self._lists: dict[str, tuple[float, _Services]] = {}
        self._servers: dict[ObservableKey, str] = {}
        self._names: dict[str, Answer] = {}  # of this run: many hosts have one registered name

    def takes(self, key: ObservableKey) -> bool:
        """Whether it is an address or a domain."""
        return key.kind == "domain" or (key.kind == "ip" and key.prefix == 128)

    def place(self, key: ObservableKey) -> str:
        """Return the host of the registry that answers for it; "" when none does."""
        server = self._server(key)
        return urlsplit(server).netloc if server else ""

    def ask(self, keys: Sequence[ObservableKey]) -> dict[ObservableKey, Answer]:
        """Ask the registry of one observable, wherever it sends us."""
        (key,) = keys
        server = self._server(key)
        if not server:  # no registry is known: nobody can be asked
            return {key: Answer("unknown")}
        answer = Answer("unknown")
        for text in _names(key.value) if key.kind == "domain" else [key.value]:
            answer = self._names.get(text) or self._answer(server, key.kind, text)
            self._names[text] = answer
            if answer.status == "known":
                break
        return {key: answer}

    def _answer(self, server: str, kind: str, text: str) -> Answer:
        path = f"{server.rstrip('/')}/{kind}/{quote(text, safe=':')}"
        reply = self._client.get(path, answers=(200, 404, _BAD_REQUEST))
        if reply.status == _BAD_REQUEST:
            return Answer("refused")
        if reply.status != 200:
            return Answer("unknown")
        if not isinstance(reply.body, dict) or "objectClassName" not in reply.body:
            raise LookupFailed("rdap: the answer has no objectClassName")
        return Answer("known", _data(kind, reply.body))

    def _server(self, key: ObservableKey) -> str:
        if not self._options.bootstrap:
            return self._options.base_url
        if key not in self._servers:
            name = "dns" if key.kind == "domain" else "ipv6" if ":" in key.value else "ipv4"
            found = self._bootstrap(name)
            self._servers[key] = found.of_name(key.value) if name == "dns" else found.of_address(key.value)
        return self._servers[key]

    def _bootstrap(self, name: str) -> _Services:
        """Return a bootstrap file: asked for once a day and run. Raises LookupFailed."""
        at, found = self._lists.get(name, (0.0, None))
        now = self._client.clock.now()
        if found is not None and now - at < _BOOTSTRAP_SECONDS:
            return found
        body = self._client.get(f"{name}.json", answers=(200,)).body
        try:
            found = _Services((what, _preferred(servers)) for what, servers in body["services"])
        except (KeyError, TypeError, ValueError, IndexError):
            raise LookupFailed(f"rdap: {name}.json is no bootstrap file (RFC 9224)") from None
        self._lists[name] = (now, found)
        return found


class _Services:
    """A bootstrap file: which server answers for which networks or suffixes of names."""

    def __init__(self, services: Iterable[tuple[list[str], str]]) -> None:
        self._suffixes: dict[str, str] = {}
        self._networks: list[tuple[IPv4Network | IPv6Network, str]] = []
        for what, server in services:
            for each in what:
                if (network := _network(each)) is not None:
                    self._networks.append((network, server))
                else:
                    self._suffixes[each.lower()] = server
        self._networks.sort(key=lambda each: -each[0].prefixlen)

    def of_name(self, name: str) -> str:
        """Return the server of the longest suffix of a name, whole labels (RFC 9224, section 4); "" when none is."""
        labels = name.split(".")
        suffixes = (".".join(labels[start:]) for start in range(len(labels)))
        return next((self._suffixes[each] for each in suffixes if each in self._suffixes), "")

    def of_address(self, text: str) -> str:
        """Return the server of the narrowest network with an address (RFC 9224, section 5); "" when none has it."""
        address = ip_address(text)
        return next((server for network, server in self._networks if address in network), "")


def _names(name: str) -> list[str]:
    """Return what may be the registered name: the last two labels, then the last three."""
    labels = name.split(".")
    return [".".join(labels[-number:]) for number in (2, 3) if number <= len(labels)]


def _preferred(servers: Sequence[str]) -> str:
    """https where there is a choice (RFC 9224, section 3)."""
    return next((each for each in servers if each.startswith("https:")), servers[0])


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _data(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    events = {each.get("eventAction"): each.get("eventDate") for each in _objects(body.get("events"))}
    data = {
        "handle": body.get("handle"),
        "name": body.get("name") if kind == "ip" else body.get("ldhName"),
        "country": body.get("country"),
        "network": _range(body) if kind == "ip" else None,
        "type": body.get("type"),
        "registration_status": [each for each in body.get("status") or [] if isinstance(each, str)][:10],
        "registered_at": events.get("registration"),
        "changed_at": events.get("last changed"),
        "registration_expires_at": events.get("expiration"),
        "nameservers": [each.get("ldhName") for each in _objects(body.get("nameservers")) if each.get("ldhName")][:10],
        "parent_handle": body.get("parentHandle"),
    }
    for role, name in _organisations(body):
        data.setdefault(role, name)
    return {name: value for name, value in data.items() if value not in (None, "", [])}


def _range(body: Mapping[str, Any]) -> str | None:
    first, last = body.get("startAddress"), body.get("endAddress")
    return f"{first}-{last}" if isinstance(first, str) and isinstance(last, str) else None


def _organisations(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (role, name) of the entities that are no persons, those of the object itself first."""
    for entity in _objects(body.get("entities")):
        properties = dict(_properties(entity))
        name, kind = (
            properties.get("org") or properties.get("fn"),
            properties.get("kind", "org" if "org" in properties else ""),
        )
        if isinstance(name, str) and name and kind != "individual":
            for role in entity.get("roles") or []:
                if role in _REGISTRY:
                    yield role, name
        yield from _organisations(entity)


def _properties(entity: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    card = entity.get("vcardArray")
    for each in card[1] if isinstance(card, list) and len(card) > 1 and isinstance(card[1], list) else []:
        if isinstance(each, list) and len(each) > 3:
            yield str(each[0]), each[3]


def _objects(given: Any) -> list[dict[str, Any]]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def open_provider(options: Options, client: Client) -> Rdap:
    """Return the provider."""
    return Rdap(options, client)
